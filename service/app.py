"""Build the application from the settings."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from inkstream.model.checkpoint import Checkpoint
from inkstream.model.decoding.ngrams import LanguageFile
from inkstream.model.errors import ConfigError
from inkstream.model.runtime import Runtime
from inkstream.service.access import Access, Sessions
from inkstream.service.engine import Engine
from inkstream.service.loading import LanguagesOnDemand, Loading
from inkstream.service.observe.metrics import Metrics
from inkstream.service.page_workers.pool import PageWorkers
from inkstream.service.rest import work
from inkstream.service.rest.openapi import ABOUT
from inkstream.service.rest.routes import add_rest
from inkstream.service.sealing import Sealer, random_key
from inkstream.service.service import RunningModel, Service
from inkstream.service.session import ANSWERS, SessionModel
from inkstream.service.settings import Settings
from inkstream.service.web import add_pages
from inkstream.service.websocket import StreamEndpoint


def create_app(settings: Settings, loading: Loading | None = None) -> FastAPI:
    """Return the application; `app.state.service` holds its parts.

    The engines run while the application does. `loading` has begun to load what the settings name;
    None begins now. Raises `CheckpointError` or `DataError` if a model cannot be served.
    """
    metrics, limits = Metrics(), settings.limits
    loading = loading or Loading(settings)
    languages = _languages(loading)
    keys = [key.get_secret_value() for key in settings.resume_keys] or [random_key()]
    models: dict[str, RunningModel] = {}
    nets = list(loading.nets())
    known = (checkpoint.metadata for checkpoint, _ in nets)
    transcriber = next((net.name for net in known if net.config.kind == "transcriber"), None)
    for checkpoint, runtime in nets:
        name = checkpoint.metadata.name
        if name in models:
            text = f"two of the models are called {name!r}: give one another name, as in anna=PATH"
            raise ConfigError(text)
        models[name] = _served(
            checkpoint,
            runtime,
            settings,
            languages,
            metrics=metrics,
            keys=keys,
            transcriber=transcriber,
        )
    _check_languages(languages, models)
    sessions, access = Sessions(limits, metrics), Access(settings, Sealer(keys, "token"))
    page_workers = PageWorkers(work.__name__, settings)
    service = Service(settings, limits, models, sessions, access, metrics, page_workers)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.openapi()  # makes and keeps it, which cannot be done beside requests
        for model in models.values():
            model.engine.start()
        yield
        page_workers.stop()
        for model in models.values():
            model.engine.stop()

    app = FastAPI(**ABOUT, lifespan=lifespan)
    app.state.service = service
    add_rest(app, service)
    add_pages(app)
    app.add_middleware(_streams_first, endpoint=StreamEndpoint(service))
    return app


def _streams_first(app: ASGIApp, endpoint: StreamEndpoint) -> ASGIApp:
    """Pass WebSockets to their endpoint, past the middlewares and routes of REST.

    Otherwise each session would keep the frames of all their calls in memory until it ends.
    """

    async def passed(scope: Scope, receive: Receive, send: Send) -> None:
        await (endpoint if scope["type"] == "websocket" else app)(scope, receive, send)

    return passed


def _languages(loading: Loading) -> dict[str, LanguageFile]:
    """Return the language models by name; raise `DataError` for one that cannot be used."""
    languages: dict[str, LanguageFile] = {}
    for language in loading.languages():
        if language.about.name in languages:
            raise ConfigError(f"two of the language models are called {language.about.name!r}")
        languages[language.about.name] = language
    return languages


def _check_languages(
    languages: Mapping[str, LanguageFile], models: Mapping[str, RunningModel]
) -> None:
    """Raise `ConfigError` for a language that the settings name and no transcriber can read in."""
    labels = [model.info.labels for model in models.values() if model.info.kind == "transcriber"]
    for name, language in languages.items():
        lacking = [language.about.lacking(letters) for letters in labels]
        if language.kept and lacking and all(lacking):
            needed = " ".join(lacking[0])
            raise ConfigError(f"{name} needs {needed}, which no served model can read")


def _served(
    checkpoint: Checkpoint,
    runtime: Runtime,
    settings: Settings,
    languages: Mapping[str, LanguageFile],
    *,
    metrics: Metrics,
    keys: Sequence[str],
    transcriber: str | None,
) -> RunningModel:
    """Return a model with its engine, and the languages whose letters it has; a classifier none."""
    metadata = checkpoint.metadata
    config = metadata.config
    languages = {
        name: language
        for name, language in languages.items()
        if config.kind == "transcriber" and not language.about.lacking(config.labels)
    }
    known = [ANSWERS, checkpoint.digest, *(language.digest for language in languages.values())]
    digest = hashlib.sha256("\n".join(known).encode()).hexdigest()
    model = SessionModel.of(
        metadata,
        settings.limits,
        LanguagesOnDemand(languages),
        checkpoint.metrics,
        digest=digest,
        seals=Sealer(keys, f"snapshot of {digest}"),
        transcriber=transcriber,
    )
    engine = Engine(
        runtime, max_batch=settings.max_batch, max_columns=settings.max_run_columns, metrics=metrics
    )
    return RunningModel.of(model, engine)
