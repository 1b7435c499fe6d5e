"""Serve the writing pad and the API documentation: files as they are, without a build step.

The pages load nothing from other servers, and their content security policy forbids it.
"""

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import FileResponse
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

WEB: Final = Path(__file__).resolve().parent
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
NO_CACHE: Final = {"cache-control": "no-cache"}  # files of two versions do not fit together


class Files(StaticFiles):
    """Static files that a browser may store, but must revalidate before each use."""

    def file_response(self, *args: Any, **named: Any) -> Response:
        """Return the response for a file, with the header for caches."""
        response = super().file_response(*args, **named)
        response.headers.update(NO_CACHE)
        return response


def add_pages(app: FastAPI) -> None:
    """Serve the pad at `/`, Swagger UI at `/docs`, and their files below `/web`."""

    def add(address: str, file: Path, *middleware: Middleware, policy: str = POLICY) -> None:
        async def page(_request: Request) -> FileResponse:
            return FileResponse(file, headers={"content-security-policy": policy} | NO_CACHE)

        app.router.routes.append(Route(address, page, middleware=middleware))

    add("/", WEB / "pad" / "index.html", Middleware(GZipMiddleware))
    # Beside the page, because a service worker serves only what lies below its own address.
    add("/service_worker.js", WEB / "pad" / "service_worker.js")
    # The icons of Swagger UI are data in its style sheet.
    docs_policy = POLICY.replace("img-src 'self'", "img-src 'self' data:")
    add("/docs", WEB / "docs" / "index.html", policy=docs_policy)
    for folder in ("client", "pad"):
        app.mount(f"/web/{folder}", GZipMiddleware(Files(directory=WEB / folder)))
    # Not compressed: that would take 0.1 s for the 1.7 MB of Swagger UI, and block the event loop.
    app.mount("/web/docs", Files(directory=WEB / "docs"))
