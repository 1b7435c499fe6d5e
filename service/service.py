"""The parts of a running server, as every endpoint gets them."""

from collections.abc import Mapping
from dataclasses import dataclass

from inkstream.model.config import Kind
from inkstream.service.access import Access, Sessions
from inkstream.service.engine import Engine
from inkstream.service.observe.metrics import Metrics
from inkstream.service.page_workers.pool import PageWorkers
from inkstream.service.protocol.errors import ModelUnknownError, ValueRefusedError
from inkstream.service.protocol.server_messages import Limits, ModelInfo
from inkstream.service.session import Options, SessionModel, kind_error
from inkstream.service.settings import Settings


@dataclass(frozen=True, slots=True)
class RunningModel:
    """One model with the engine that runs it."""

    session_model: SessionModel
    engine: Engine
    options: Options  # of a stream whose query gives none

    @classmethod
    def of(cls, session_model: SessionModel, engine: Engine) -> "RunningModel":
        """Return a model that an engine runs."""
        return cls(session_model, engine, Options.first(session_model))

    @property
    def info(self) -> ModelInfo:
        """What clients may know of it."""
        return self.session_model.info

    def options_of(self, query: Mapping[str, str]) -> Options:
        """Return the options of a stream, whose query may name a language.

        Raises `ValueRefusedError` for one that is not served.
        """
        if "language" not in query:
            return self.options
        return Options.of({"language": query["language"]}, self.session_model)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that the endpoints share."""

    settings: Settings
    limits: Limits
    models: Mapping[str, RunningModel]  # by name; the first is the default
    sessions: Sessions
    access: Access
    metrics: Metrics
    page_workers: PageWorkers

    def model(self, name: str | None, kind: Kind | None = None) -> RunningModel:
        """Return the model of that name, or where none is named, the first of the kind.

        Where none of the kind is served, or no kind is wanted, the first of all is the default.
        Raises `ModelUnknownError`.
        """
        if name is None:
            suitable = (model for model in self.models.values() if model.info.kind == kind)
            return next(suitable, next(iter(self.models.values())))
        if name not in self.models:
            known = ", ".join(self.models)
            raise ModelUnknownError(f"no model {name[:100]!r}, served: {known}")
        return self.models[name]

    def model_of_kind(self, name: str | None, kind: Kind, needed_by: str) -> RunningModel:
        """Return what `model` does; raise `ValueRefusedError` for a model of the other kind."""
        model = self.model(name, kind)
        if model.info.kind != kind:
            other = self.model(None, kind).info
            raise kind_error(needed_by, kind, model.info, other.name * (other.kind == kind))
        return model


def check_repeated(parameters: Mapping[str, int]) -> None:
    """Raise `ValueRefusedError` for a parameter of a query that came more than once."""
    for name, n in parameters.items():
        if n > 1:
            several = ", several with commas" if name == "language" else ""
            raise ValueRefusedError(f"{name[:100]} came {n} times, allowed: once{several}")
