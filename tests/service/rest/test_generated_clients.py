"""Three generators make TypeScript clients of the OpenAPI description that read images."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.helpers.http import PNG
from tests.helpers.running_server import Running, server

pytestmark = pytest.mark.slow

NODE: Final = shutil.which("node")
TOOLS: Final = Path(sys.prefix) / "generators" / "node_modules"  # where `make` installs them
CLIENTS: Final = Path(__file__).with_name("clients")
IMAGES: Final = [str(PNG.with_name(name)) for name in ("7.png", "hello.png", "page.jpg")]
PYTHON_TOOLS: Final = Path(sys.executable).parent
GENERATE: Final = {  # the client in `clients`: the command that makes what it imports
    "types": [str(NODE), "types.mjs"],
    "hey": [
        *(str(NODE), str(TOOLS / ".bin" / "openapi-ts")),
        *("--input", "openapi.json", "--output", "generated"),
    ],
    "generator": [
        *(str(PYTHON_TOOLS / "openapi-generator-cli"), "generate", "--input-spec", "openapi.json"),
        *("--generator-name", "typescript-fetch", "--output", "generated"),
    ],
}
COMPILE: Final = [
    *(str(NODE), str(TOOLS / ".bin" / "tsc"), "--strict", "--skipLibCheck"),
    *("--module", "nodenext"),
    *("--target", "es2022", "--lib", "es2022,dom,dom.iterable", "--types", "node"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("weights"), models="digits,lines") as running:
        yield running


def run(folder: Path, command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.needs(NODE and TOOLS.exists())
@pytest.mark.parametrize("client_name", GENERATE)
def test_a_generated_client_compiles_and_reads_a_digit_a_line_and_a_page(
    running: Running, client: httpx.Client, tmp_path: Path, client_name: str
) -> None:
    (tmp_path / "node_modules").symlink_to(TOOLS)
    (tmp_path / "openapi.json").write_text(client.get("/openapi.json").text)
    for path in CLIENTS.glob(f"{client_name}.*"):
        shutil.copy(path, tmp_path)
    run(tmp_path, GENERATE[client_name])
    run(tmp_path, [*COMPILE, f"{client_name}.ts"])
    answers = run(tmp_path, [str(NODE), f"{client_name}.js", str(client.base_url), *IMAGES])
    read = json.loads(answers)
    assert (read["label"], read["text"], read["marks"]) == ("7", "hello, world!", [",", "!"])
    assert read["p"] > 0.9
    assert read["lines"] == 6
