"""The writing pad: a page, its style and its modules, as they lie in `service/web`.

There is no build step, and nothing is loaded from elsewhere: the policy says so to browsers too.
"""

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

WEB: Final = Path(__file__).parent / "web"
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {"content-security-policy": POLICY, "cache-control": "no-cache"}


def add_pages(app: FastAPI) -> None:
    """Serve the pad at `/` and what it is made of below `/web`."""

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def pad() -> FileResponse:
        return FileResponse(WEB / "index.html", headers=HEADERS)

    app.mount("/web", GZipMiddleware(StaticFiles(directory=WEB)))
