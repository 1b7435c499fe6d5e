"""What a running server is made of, handed to every door."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from inkstream.model.checkpoint import Metadata
from inkstream.model.decoding.ngrams import Language
from inkstream.service.access import Access
from inkstream.service.admission import Sessions
from inkstream.service.engine.engine import Engine
from inkstream.service.limits import Limits
from inkstream.service.metrics import Observer
from inkstream.service.protocol.errors import ModelUnknownError, ValueRefusedError
from inkstream.service.protocol.server_messages import Kind, ModelInfo
from inkstream.service.session import NO_LANGUAGES, Session, decoders_of
from inkstream.service.settings import Settings


@dataclass(frozen=True, slots=True)
class RunningModel:
    """One net with the engine that runs it."""

    info: ModelInfo
    metadata: Metadata
    engine: Engine
    languages: Mapping[str, Language] = field(default_factory=lambda: NO_LANGUAGES)  # by name

    def new_session(self, session_id: str, limits: Limits) -> Session:
        """A session of this model, before its first message."""
        decoders = decoders_of(self.metadata.config, self.languages)
        return Session(session_id, self.info, limits, decoders)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that the doors share."""

    settings: Settings
    limits: Limits
    models: Mapping[str, RunningModel]  # by name; the first is the default
    sessions: Sessions
    access: Access
    observer: Observer

    def model(self, name: str | None, kind: Kind | None = None) -> RunningModel:
        """Return the model of that name, or where none is named, the first of the kind.

        Where none of the kind is served, or no kind is wanted, the first of all is the default.
        Raises `ModelUnknownError`.
        """
        if name is None:
            suitable = (model for model in self.models.values() if model.info.kind == kind)
            return next(suitable, next(iter(self.models.values())))
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(self.models)
            raise ModelUnknownError(f"no model {name[:100]!r}, served: {known}") from None

    def require_kind(self, model: RunningModel, kind: Kind, parameter: str) -> None:
        """Raise `ValueRefusedError` unless a model is of the kind that a parameter needs."""
        if model.info.kind != kind:
            got = f'model "{model.info.name}" is a {model.info.kind}'
            other = self.model(None, kind).info
            hint = f"; try model={other.name}" if other.kind == kind else ""
            raise ValueRefusedError(f"{parameter} needs a {kind}, and {got}{hint}")
