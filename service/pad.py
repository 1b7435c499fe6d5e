"""The writing pad: a page, its style and its modules, as they lie in `service/web`.

There is no build step, and nothing is loaded from elsewhere: the policy says so to browsers too.
"""

from os import PathLike, stat_result
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

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
FRESH: Final = {"cache-control": "no-cache"}  # files of two versions don't go together
HEADERS: Final = {"content-security-policy": POLICY} | FRESH


class Files(StaticFiles):
    """Files that a browser asks for anew, though it need not load again what has not changed."""

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Answer with a file."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(FRESH)
        return response


def add_pages(app: FastAPI) -> None:
    """Serve the pad at `/` and what it is made of below `/web`."""

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def pad() -> FileResponse:
        return FileResponse(WEB / "pad" / "index.html", headers=HEADERS)

    app.mount("/web", GZipMiddleware(Files(directory=WEB)))
