"""Several models of a kind stand side by side on one server, each with a name."""

from pathlib import Path

import pytest

from inkstream.model.errors import ConfigError
from inkstream.service.app import create_app
from inkstream.service.client.stream import connect_sync
from inkstream.service.settings import Settings
from tests.helpers import builders
from tests.helpers.http import client_of, error
from tests.helpers.running_server import server


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a common net, and in a run folder one of the same name."""
    folder = tmp_path_factory.mktemp("weights")
    builders.line_checkpoint(folder / "lines.onnx")
    (folder / "hand").mkdir()
    builders.line_checkpoint(folder / "hand" / "lines.onnx", seed=1)
    builders.checkpoint(folder / "digits.onnx")
    return folder


def names(weights: Path, models: str) -> list[str]:
    """Return the names of the models of a server."""
    app = create_app(Settings.load(models=models, weights=weights, languages=""))
    return list(app.state.service.models)


def test_models_are_served_under_the_names_that_the_settings_give(weights: Path) -> None:
    assert names(weights, f"lines,anna={weights}/hand") == ["lines", "anna"]
    assert names(weights, "lines,hand,digits") == ["lines", "hand", "digits"]
    assert names(weights, f"lines,berta=lines,{weights}/digits.onnx") == [
        *("lines", "berta", "digits"),
    ]


@pytest.mark.parametrize("models", ["lines,{0}/hand", "anna=lines,anna=digits"])
def test_two_models_of_one_name_are_refused_with_the_way_to_name_them(
    weights: Path, models: str
) -> None:
    with pytest.raises(ConfigError, match=r"two of .* give one another name, as in anna=PATH"):
        names(weights, models.format(weights))


def test_clients_find_and_choose_a_model_by_its_name(weights: Path) -> None:
    ink = {"strokes": [[[10, 10], [10, 100]], [[40, 10], [90, 90]]], "height": 120}
    models = f"digits,lines,anna={weights}/hand/lines.onnx"
    with server(weights, models=models, languages="") as running, client_of(running) as client:
        listed = client.get("/v1/models").json()["models"]
        assert [model["name"] for model in listed] == ["digits", "lines", "anna"]
        texts = []
        for name in ("lines", "anna"):
            texts.append(client.post(f"/v1/transcribe?model={name}", json=ink).json()["text"])
            with connect_sync(running.url, model=name) as stream:
                assert stream.ready.model.name == name
        assert texts[0] != texts[1]
        refused = client.post("/v1/recognize?model=digits&words=ab", json=ink)
        assert error(refused, 422, "bad_value") == (
            "`words` needs a model that reads lines; `digits` reads one digit. Use model `lines`."
        )
