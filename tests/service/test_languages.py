"""Which languages a server reads in: those whose letters its nets have."""

from pathlib import Path

import pytest

from inkstream.model.alphabet import WESTERN
from inkstream.model.decoding import ngrams
from inkstream.model.decoding.ngrams import About, Language
from inkstream.model.errors import ConfigError
from inkstream.model.training.ngrams import build
from inkstream.service.app import create_app
from inkstream.service.loading import LanguagesOnDemand, Loading
from inkstream.service.settings import Settings
from tests.helpers import builders


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


def test_languages_are_read_when_they_are_first_used(weights: Path) -> None:
    files = {each.about.name: each for each in Loading(Settings.load(weights=weights)).languages()}
    languages = LanguagesOnDemand(files)
    assert list(languages) == ngrams.shipped()
    assert languages["english"] is languages["english"]
    assert languages.get("latin") is None
