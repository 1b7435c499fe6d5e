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

    headers = {"content-security-policy": POLICY} | NO_CACHE

    async def pad(_request: Request) -> FileResponse:
        return FileResponse(WEB / "pad" / "index.html", headers=headers)

    zipped = [Middleware(GZipMiddleware)]
    page = Route("/", pad, methods=["GET", "HEAD"], include_in_schema=False, middleware=zipped)
    app.router.routes.append(page)

    # Beside the page, because a service worker serves only what lies below its own address.
    @app.api_route("/service_worker.js", methods=["GET", "HEAD"], include_in_schema=False)
    async def service_worker() -> FileResponse:
        return FileResponse(WEB / "pad" / "service_worker.js", headers=headers)

    @app.api_route("/docs", methods=["GET", "HEAD"], include_in_schema=False)
    async def docs() -> FileResponse:
        # The icons of Swagger UI are data in its style sheet.
        policy = POLICY.replace("img-src 'self'", "img-src 'self' data:")
        docs_headers = headers | {"content-security-policy": policy}
        return FileResponse(WEB / "docs" / "index.html", headers=docs_headers)

    for folder in ("client", "pad"):
        app.mount(f"/web/{folder}", GZipMiddleware(Files(directory=WEB / folder)))
    # Not compressed: that would take 0.1 s for the 1.7 MB of Swagger UI, and block the event loop.
    app.mount("/web/docs", Files(directory=WEB / "docs"))
