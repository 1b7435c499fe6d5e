"""What a running server is made of, handed to every door."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from inkstream.model.checkpoint import Metadata
from inkstream.model.decoding.ngrams import Language
from inkstream.service.access import Access
from inkstream.service.admission import Sessions
from inkstream.service.engine.engine import Engine
from inkstream.service.metrics import Observer
from inkstream.service.protocol.errors import ModelUnknownError
from inkstream.service.protocol.server_messages import Limits, ModelInfo
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

    def model(self, name: str | None) -> RunningModel:
        """The model of that name, or the default for None; raises `ModelUnknownError`."""
        if name is None:
            return next(iter(self.models.values()))
        try:
            return self.models[name]
        except KeyError:
            known = ", ".join(self.models)
            raise ModelUnknownError(f"no model {name[:100]!r}, served: {known}") from None
