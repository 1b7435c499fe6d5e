"""The JavaScript client: its types, its own tests in Node, its package."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from inkstream.service.protocol.server_messages import SERVER, Limits
from tests.helpers.command_line import INKSTREAM, ROOT
from tests.helpers.running_server import server

pytestmark = pytest.mark.slow

CLIENT = ROOT / "service" / "web" / "client"
PAD = ROOT / "service" / "web" / "pad"
DOCS = ROOT / "service" / "web" / "docs"
TESTS = ROOT / "tests" / "service" / "web"
PACKAGE = json.loads((CLIENT / "package.json").read_text())
TYPES = (CLIENT / "protocol.d.ts").read_text()

NODE = shutil.which("node")
NPM = shutil.which("npm")
TOOLS = Path(sys.prefix) / "npm" / "node_modules"  # where `make` installs TypeScript
TSC = TOOLS / ".bin" / "tsc"
FRAMEWORKS = Path(sys.prefix) / "frameworks" / "node_modules"  # where it installs React
DECLARATIONS = CLIENT / "types"  # written by `npm run types`

NODE_OPTIONS = ["--experimental-websocket", "--no-warnings"]  # the first for Node 20


def run(command: list[str], **options: object) -> str:
    done = subprocess.run(  # type: ignore[call-overload]
        command, capture_output=True, text=True, timeout=300, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.mark.needs(NODE)
@pytest.mark.parametrize("file", sorted(TESTS.glob("*/*.test.js")), ids=lambda file: file.name)
def test_the_javascript_tests_pass(file: Path) -> None:
    command = [str(NODE), *NODE_OPTIONS, "--test", "--test-reporter=tap", str(file)]
    output = run(command, cwd=ROOT, env={"INKSTREAM": " ".join(INKSTREAM), "PATH": "/usr/bin:/bin"})
    (passed,) = re.findall(r"^# pass (\d+)$", output, re.MULTILINE)
    assert int(passed) > 0
    for kind in ("fail", "cancelled", "skipped", "todo"):
        assert f"\n# {kind} 0\n" in output


@pytest.mark.needs(NODE and TSC.exists())
@pytest.mark.parametrize("folder", [CLIENT, PAD, DOCS, TESTS], ids=lambda folder: folder.name)
def test_the_javascript_types_are_correct(folder: Path) -> None:
    roots = ["--typeRoots", str(TOOLS / "@types")]
    run([str(NODE), str(TSC), "--project", str(folder), *roots])


@pytest.mark.needs(NODE and TSC.exists())
def test_the_declarations_match_the_code(tmp_path: Path) -> None:
    options = ["--typeRoots", str(TOOLS / "@types"), "--outDir", str(tmp_path)]
    run([str(NODE), str(TSC), "--project", str(DECLARATIONS), *options])
    for file in tmp_path.iterdir():
        assert (DECLARATIONS / file.name).read_text() == file.read_text()
    assert {"inkstream.d.ts", "handwriting.d.ts", "ink_pad.d.ts"} <= {
        file.name for file in tmp_path.iterdir()
    }


def declared(name: str) -> dict[str, str]:
    """Return the fields of an interface and of those that it extends, with their types."""
    pattern = rf"interface {name}(?: extends ([\w<>, ]+?))? \{{\n(.*?)^\}}"
    match = re.search(pattern, TYPES, re.DOTALL | re.MULTILINE)
    assert match is not None, name
    parents, body = match.groups()
    found: dict[str, str] = {}
    for parent in (parents or "").split(", "):
        found |= declared(re.sub(r"Required<(\w+)>", r"\1", parent)) if parent else {}
    fields = re.findall(r"^  (\w+)\??: (.+);$", body, re.MULTILINE)
    return found | dict(fields)


NAMES = {"error": "ErrorMessage"}  # others have the type's name
SCHEMA = SERVER.json_schema(mode="serialization")["$defs"]
MESSAGES = {
    schema["properties"]["type"]["const"]: set(schema["properties"])
    for schema in SCHEMA.values()
    if "const" in schema.get("properties", {}).get("type", {})
}


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_message_types_match_the_protocol(kind: str) -> None:
    name = NAMES.get(kind, "".join(part.title() for part in kind.split("_")))
    assert set(declared(name)) == MESSAGES[kind]


def test_the_limits_match_the_protocol() -> None:
    assert list(declared("Limits")) == list(Limits.model_fields)
    schema = TypeAdapter(Limits).json_schema()["properties"]
    assert {entry["type"] for entry in schema.values()} == {"integer", "number"}


def test_the_package_has_the_version_and_license_of_the_service() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert PACKAGE["version"] == project["version"]
    code, _, data = project["license"].partition(" AND ")  # it contains none of the service's data
    assert (PACKAGE["license"], data) == (code, "CC-BY-SA-4.0")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the client's package in a folder."""
    folder = tmp_path_factory.mktemp("npm")
    run([str(NPM), "pack", str(CLIENT), "--pack-destination", str(folder)], cwd=folder)
    (packed,) = folder.glob("*.tgz")
    run([str(NPM), "install", "--offline", "--no-audit", "--no-fund", str(packed)], cwd=folder)
    return folder


@pytest.mark.needs(NODE and NPM)
def test_the_package_can_be_imported(installed: Path) -> None:
    script = """
        import { connect, InkstreamError } from "inkstream";
        import { HandwritingStroke } from "inkstream/handwriting";
        import "inkstream/ink-pad"; // a server may render a page with the element
        new HandwritingStroke().addPoint({ x: 1, y: 2 });
        await connect("ftp://nowhere").catch((error) => {
          if (!(error instanceof InkstreamError)) throw error;
          console.log(error.code);
        });
    """
    command = [str(NODE), *NODE_OPTIONS, "--input-type=module", "--eval", script]
    assert run(command, cwd=installed) == "bad_value\n"
    package = installed / "node_modules" / "inkstream"
    *files, types = PACKAGE["files"]
    assert {str(path.relative_to(package)) for path in package.rglob("*.*")} == {
        "README.md",
        "package.json",
        *files,
        *(str(path.relative_to(CLIENT)) for path in CLIENT.glob(types)),
    }


@pytest.mark.needs(NODE and NPM)
def test_the_readme_examples_print_the_text_and_exit(installed: Path, tmp_path: Path) -> None:
    examples = re.findall(r"```javascript\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    outputs = []
    with server(tmp_path, models="lines") as running:
        for example in examples:
            (installed / "example.mjs").write_text(
                example.replace("127.0.0.1:8000", f"127.0.0.1:{running.port}")
            )
            outputs.append(run([str(NODE), *NODE_OPTIONS, "example.mjs"], cwd=installed))
    assert outputs == ["Hi\n", "L\ni\nLi\n", "L\n"]


@pytest.mark.needs(NODE and NPM and TSC.exists())
@pytest.mark.parametrize("resolution", [("nodenext", "nodenext"), ("esnext", "bundler")])
def test_the_package_has_types(installed: Path, resolution: tuple[str, str]) -> None:
    (installed / "use.mts").write_text("""
        import { type Message, connect } from "inkstream";
        import { createHandwritingRecognizer } from "inkstream/handwriting";
        const stream = await connect("http://127.0.0.1:8000", { model: "lines" });
        await stream.ink([{ points: [[1, 2]] }], 120);
        const text: string | undefined = (await stream.flush()).text;
        // @ts-expect-error
        const session: number = stream.ready.session;
        export type { Message };
        export { createHandwritingRecognizer, session, text };
    """)
    module, kind = resolution
    options = ["--noEmit", "--strict", "--target", "es2023", "--lib", "es2023,dom"]
    resolved = ["--module", module, "--moduleResolution", kind, "--typeRoots", str(installed)]
    run([str(NODE), str(TSC), *options, *resolved, "use.mts"], cwd=installed)


@pytest.mark.needs(NODE and NPM and TSC.exists() and FRAMEWORKS.exists())
def test_the_element_has_types_in_html_and_in_react(installed: Path) -> None:
    modules = installed / "node_modules"
    for name in ("@types", "csstype"):
        if not (modules / name).exists():
            (modules / name).symlink_to(FRAMEWORKS / name)
    (installed / "use.tsx").write_text("""
        import { useRef } from "react";
        import { InkPad } from "inkstream/ink-pad";
        export const value: string | undefined = document.querySelector("ink-pad")?.value;
        document.createElement("ink-pad").addEventListener("input", () => {});
        export function Field() {
          const field = useRef<InkPad>(null);
          return <ink-pad ref={field} className="wide" name="city" required multiline rows={2} />;
        }
        // @ts-expect-error
        export const wrong = <ink-pad required={3} />;
        // @ts-expect-error
        export const unknown = <ink-pad colour="red" />;
    """)
    options = ["--noEmit", "--strict", "--target", "es2023", "--lib", "es2023,dom"]
    resolved = ["--module", "esnext", "--moduleResolution", "bundler", "--jsx", "react-jsx"]
    run([str(NODE), str(TSC), *options, *resolved, "use.tsx"], cwd=installed)
