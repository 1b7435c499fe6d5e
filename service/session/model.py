"""What the sessions of one model share, and what is no part of any session's state."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from inkstream.model.checkpoint import Metadata
from inkstream.model.config import Kind, ModelConfig
from inkstream.model.decoding.ngrams import Language
from inkstream.service.protocol.errors import ValueRefusedError
from inkstream.service.protocol.server_messages import Limits, ModelInfo

# A part of each model's digest: it rises whenever a release of the service answers otherwise with
# the same weights, or packs its snapshots in another way.
ANSWERS: Final = "3"
READS: Final[Mapping[Kind, str]] = {"transcriber": "lines", "classifier": "one character"}


class Seals(Protocol):
    """Makes texts of snapshots that only servers with the same keys can read."""

    def seal(self, content: bytes, client: bytes, lifetime_s: float) -> str:
        """Return a snapshot for a client, by its credential, as a text."""

    def open(self, blob: str, client: bytes) -> bytes:
        """Return the content of such a text; raise an `InputError` with the reason."""


@dataclass(frozen=True, slots=True, eq=False)
class SessionModel:
    """A model, its language models and the limits of its sessions; none of it ever changes."""

    info: ModelInfo
    config: ModelConfig
    limits: Limits
    languages: Mapping[str, Language]  # by name
    digest: str = ""  # of all that answers depend on: the weights and the language models
    seals: Seals | None = None  # of snapshots; None: there are none
    transcriber: str | None = None  # name of a model of the server that reads lines

    @classmethod
    def of(
        cls,
        metadata: Metadata,
        limits: Limits,
        languages: Mapping[str, Language] = MappingProxyType({}),
        metrics: Mapping[str, float] = MappingProxyType({}),
        *,
        digest: str = "",
        seals: Seals | None = None,
        transcriber: str | None = None,
    ) -> "SessionModel":
        """Return what sessions need of a net; clients are shown the `metrics` of it."""
        config = metadata.config
        info = ModelInfo(
            name=metadata.name,
            version=metadata.version,
            kind=config.kind,
            labels=config.labels,
            column_height=config.column_height,
            parameters=metadata.parameters,
            licence=metadata.licence,
            data=metadata.data,
            metrics=metrics,
            languages=tuple(languages),
        )
        limits = limits.of_columns(config.column_height)
        return cls(info, config, limits, languages, digest, seals, transcriber)


def kind_error(
    needed_by: str, kind: Kind, model: ModelInfo, other: str | None
) -> ValueRefusedError:
    """Return the error of an option or a call that needs a model of a kind, and got another one.

    `other` is the name of a served model of that kind.
    """
    is_of_digits = model.kind == "classifier" and all(map(str.isdigit, model.labels))
    reads = "one digit" if is_of_digits else READS[model.kind]
    advice = f". Use model `{other}`." if other else ""
    needed = f"`{needed_by}` needs a model that reads {READS[kind]}"
    return ValueRefusedError(f"{needed}; `{model.name}` reads {reads}{advice}")
