"""Which languages a server reads in: those whose letters its nets have."""

import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from inkstream.model.alphabet import WESTERN
from inkstream.model.decoding import ngrams
from inkstream.model.decoding.ngrams import About, Language, LanguageFile
from inkstream.model.errors import ConfigError, InkstreamError
from inkstream.model.training.ngrams import build
from inkstream.service.app import create_app
from inkstream.service.client.stream import connect_sync
from inkstream.service.loading import LanguagesOnDemand, Loading, unread
from inkstream.service.settings import Settings
from tests.helpers import builders
from tests.helpers.http import client_of, error
from tests.helpers.running_server import server


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a net of ASCII's letters, and one of western Europe's."""
    folder = tmp_path_factory.mktemp("weights")
    builders.line_checkpoint(folder / "ascii.onnx", labels=WESTERN[:95])
    builders.line_checkpoint(folder / "western.onnx", labels=WESTERN)
    builders.checkpoint(folder / "digits.onnx")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a language model that needs an umlaut."""
    path = tmp_path_factory.mktemp("languages") / "own.ngrams"
    about = About("own", " adefghü", 3, ("ours",), "ü")
    Language(about, build([("über", 1.0)], about.characters, 3, 1000)).save(path)
    return path


def served(weights: Path, models: str, **settings: str) -> dict[str, tuple[str, ...]]:
    """Return the languages of each model of a server."""
    app = create_app(Settings.load(models=models, weights=weights, **settings))
    return {name: model.info.languages for name, model in app.state.service.models.items()}


def test_a_server_offers_the_shipped_languages_whose_letters_a_net_has(weights: Path) -> None:
    found = served(weights, "ascii,western,digits")
    shipped = ngrams.shipped()
    assert found["western"] == tuple(shipped)
    assert found["digits"] == ()
    needy = {name for name in shipped if ngrams.load(name).about.letters}
    assert found["ascii"] == tuple(name for name in shipped if name not in needy)
    assert "english" in found["ascii"]


@pytest.mark.parametrize(
    "message",
    [
        '{"type":"resume","options":{"language":{"a":1}}}',
        '{"type":"resume","options":{"language":5}}',
        '{"type":"configure","language":["english"]}',
        '{"type":"configure","language":"' + "english," * 200 + '"}',
        '{"type":"configure","options":' + "[" * 5000 + "]" * 5000 + ',"language":"english"}',
    ],
    ids=lambda text: text[:50],
)
def test_no_language_is_read_for_a_message_that_the_session_refuses(message: str) -> None:
    files = {"english": LanguageFile(ngrams.find("english"), keep=False)}
    assert unread(LanguagesOnDemand(files), message) == []


def test_a_named_language_is_offered_by_the_nets_that_have_its_letters(
    weights: Path, own: Path
) -> None:
    found = served(weights, "ascii,western,digits", languages=str(own))
    assert found == {"ascii": (), "western": ("own",), "digits": ()}


def test_a_named_language_may_stand_beside_all_shipped_ones(weights: Path, own: Path) -> None:
    found = served(weights, "western", languages=f"*,{own}")
    assert found["western"] == (*ngrams.shipped(), "own")


def test_a_named_language_that_no_net_can_read_is_refused(weights: Path, own: Path) -> None:
    with pytest.raises(ConfigError, match="own needs ü, which no served model can read"):
        served(weights, "ascii,digits", languages=str(own))
    assert served(weights, "digits", languages=str(own)) == {"digits": ()}


def test_a_language_may_be_named_by_its_code(weights: Path) -> None:
    assert served(weights, "western", languages="fr,deu") == {"western": ("french", "german")}


def test_languages_are_read_when_they_are_first_used(weights: Path) -> None:
    files = {each.about.name: each for each in Loading(Settings.load(weights=weights)).languages()}
    languages = LanguagesOnDemand(files)
    assert list(languages) == ngrams.shipped()
    assert languages["english"] is languages["english"]
    assert languages.get("latin") is None


@pytest.mark.parametrize("kind", ["query", "configure", "resume", "call"])
def test_languages_are_read_beside_the_event_loop(
    line_weights: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    threads: list[threading.Thread] = []
    read = ngrams._read

    def noted(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return read(*args)

    with server(line_weights, models="tiny_lines") as running, client_of(running) as client:
        monkeypatch.setattr(ngrams, "_read", noted)
        ink = {"strokes": [[[10, 10], [10, 100]], [[40, 10], [90, 90]]], "height": 120}
        url = f"{running.url}?language=en" if kind == "query" else running.url
        if kind == "call":
            assert client.post("/v1/recognize?language=en", json=ink).json()["text"]
        else:
            with connect_sync(url) as stream:
                if kind == "configure":
                    assert stream.configure(language="en").language == "english"
                if kind == "resume":
                    stream._line._line_options = {"language": "en"}
                    stream._socket.socket.shutdown(socket.SHUT_RDWR)
                columns = stream.send(bytes(16 * 70))
                assert len(list(columns)) == 70
                assert stream.configure().language == "english"
        assert len(threads) == 1
        assert running.thread not in threads


def test_a_server_outlives_a_change_of_a_shipped_language(
    line_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrams, "WEIGHTS", tmp_path)
    for name in ("used", "changed"):
        about = About(name, " abc", 3, ("ours",))
        path = tmp_path / f"{name}.ngrams"
        Language(about, build([("abba", 1.0)], about.characters, 3, 1000)).save(path)
    with server(line_weights, models="tiny_lines") as running, client_of(running) as client:

        def recognize(language: str) -> httpx.Response:
            ink = {"strokes": [[[10, 10], [10, 100]], [[40, 10], [90, 90]]], "height": 120}
            return client.post("/v1/recognize", params={"language": language}, json=ink)

        before = recognize("used").json()
        assert before["text"]
        for path in tmp_path.iterdir():
            path.write_bytes(b"changed")
        assert recognize("used").json() == before
        reason = error(recognize("changed"), 500, "internal")
        assert reason == "language changed cannot be read at present"
        with connect_sync(running.url, reconnect=False) as stream, pytest.raises(InkstreamError):
            stream.configure(language="changed")
        assert client.get("/readyz").status_code == 200
