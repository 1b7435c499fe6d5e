"""The OpenAPI description as one plain page: no script, nothing loaded from anywhere."""

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --get: #2a7; --post: #46c; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1 small { font-weight: 400; opacity: .6; }
section { border: 1px solid var(--line); border-radius: .5rem; padding: 0 1.2rem 1rem; }
section + section { margin-top: 1.5rem; }
h2 { font: 600 1.1rem ui-monospace, monospace; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
.method { color: #fff; background: var(--get); border-radius: .3rem; padding: .1rem .5rem; }
.method { margin-right: .5rem; }
.post { background: var(--post); }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: var(--soft); border-radius: .4rem; padding: .6rem .8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; }
tr { border-top: 1px solid var(--line); }
summary { cursor: pointer; }
form { background: var(--soft); border-radius: .4rem; padding: .8rem; }
"""

_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)

TRY_IT: Final = """<form method="post" action="v1/recognize" enctype="multipart/form-data">
<label>Try it: <input type="file" name="file" accept="image/*" required></label>
<button>Recognize</button></form>
<pre>curl --data-binary @examples/7.png -H 'Content-Type: image/png' \\
     'http://127.0.0.1:8000/v1/recognize?curve=true'</pre>"""

ERRORS: Final = """<p>Every error has one shape. Compare <code>code</code>; the message is for
people, it says what came and what is allowed; the request id stands in the server's log, too.</p>
<pre>{"error": {"code": "...", "message": "...", "request_id": "..."}}</pre>"""


def page(description: dict[str, Any]) -> str:
    """Render an OpenAPI 3.1 description as HTML."""
    about = description["info"]
    operations = "".join(
        _operation(method, path, operation, description)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    )
    text = "".join(f"<p>{escape(part)}</p>" for part in about["description"].strip().split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(about['title'])}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(about['title'])} <small>{escape(about['version'])}</small></h1>{text}"
        '<p>As files: <a href="openapi.json">openapi.json</a>,'
        ' <a href="asyncapi.json">asyncapi.json</a>.</p>'
        f"{ERRORS}{operations}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any], whole: dict[str, Any]) -> str:
    parts = [
        f'<section><h2><span class="method {method}">{method.upper()}</span>{escape(path)}</h2>',
        f"<p>{escape(operation.get('description', ''))}</p>",
        TRY_IT if path == "/v1/recognize" else "",
    ]
    if parameters := operation.get("parameters"):
        rows = "".join(_row(p["name"], p.get("description", "")) for p in parameters)
        parts.append(f"<h3>Query</h3><table>{rows}</table>")
    if body := operation.get("requestBody"):
        parts.append(f"<h3>Body</h3><p>{escape(body['description'])}</p>")
        rows = "".join(_row(kind, *_media(media, whole)) for kind, media in body["content"].items())
        parts.append(f"<table>{rows}</table>")
    rows = "".join(
        _row(status, answer["description"], *_content(answer, whole))
        for status, answer in operation["responses"].items()
    )
    return "".join([*parts, f"<h3>Answers</h3><table>{rows}</table></section>"])


def _row(name: str, text: str = "", *blocks: str) -> str:
    return f"<tr><th><code>{escape(name)}</code></th><td>{escape(text)}{''.join(blocks)}</td></tr>"


def _content(answer: dict[str, Any], whole: dict[str, Any]) -> Iterator[str]:
    """An error's codes, each with its message; of any other answer what its body looks like."""
    for media in answer.get("content", {}).values():
        examples = media.get("examples", {})
        errors = {
            code: e["value"]["error"] for code, e in examples.items() if "error" in e["value"]
        }
        for code, said in errors.items():
            yield f"<p><code>{escape(code)}</code> {escape(said['message'])}</p>"
        if not errors:
            yield from _media(media, whole)[1:]


def _media(media: dict[str, Any], whole: dict[str, Any]) -> tuple[str, ...]:
    """A line about a body, then its examples and its schema as blocks."""
    schema = _resolved(media.get("schema", {}), whole)
    line = "the bytes of the file" if schema.get("format") == "binary" else ""
    examples = media.get("examples", {})
    blocks = [_json(f"example: {name}", example["value"]) for name, example in examples.items()]
    if "properties" in schema or "anyOf" in schema:
        blocks.append(_json("schema", schema))
    return (line, *blocks)


def _resolved(schema: Any, whole: dict[str, Any]) -> Any:
    """The schema with every reference replaced by what it names."""
    if isinstance(schema, list):
        return [_resolved(part, whole) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _resolved(whole["components"]["schemas"][name], whole)
    return {key: _resolved(value, whole) for key, value in schema.items()}


def _json(title: str, value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2 if title == "schema" else None)
    return f"<details><summary>{title}</summary><pre>{escape(text)}</pre></details>"
