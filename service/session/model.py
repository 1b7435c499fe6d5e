"""What the sessions of one model share, and what is no part of any session's state."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from inkstream.model.checkpoint import Metadata
from inkstream.model.config import ModelConfig
from inkstream.model.decoding.ngrams import Language
from inkstream.service.protocol.server_messages import Limits, ModelInfo

# A part of each model's digest: it rises whenever a release of the service answers otherwise with
# the same weights, or packs its snapshots in another way.
ANSWERS: Final = "3"


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
        return cls(info, config, limits, languages, digest, seals)
