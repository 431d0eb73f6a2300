"""The rendered site as a web application that only Airflow's users can read.

Airflow authenticates nothing below a plugin's mount point, so every route here depends on
Airflow's own access check, and anything unexpected is answered with an empty error page: no path,
no stack, no hint whether a file exists is given to somebody who has not signed in. Who read which
page or took which file away goes to the API server's log, as ``nachweis.access``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

from nachweis.pages.policy import CONTENT_SECURITY_POLICY
from nachweis.settings import Settings

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}
"""Sent with every answer, errors included."""

SERVED = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
    ".txt": "text/plain; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".pdf": "application/pdf",
    ".zip": "application/zip",
}
"""Kinds of files a site consists of; others are not served even if they lie there."""
LOOKS = frozenset({".css", ".js", ".svg", ".png", ".woff2"})
"""What only makes pages look right: reading it is not logged."""

_access = logging.getLogger("nachweis.access")


def create_app(site: Path | None = None) -> FastAPI:
    """Build the application.

    Args:
        site: Folder of the rendered site; default is the one of the settings.

    Returns:
        An application that answers 401 or 403 to everybody without access to Airflow's website.
    """
    folder = (site or Settings().site).resolve()
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    )

    @app.middleware("http")
    async def protect(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(StarletteHTTPException)
    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, error: Exception) -> Response:
        return _empty(error.status_code if isinstance(error, StarletteHTTPException) else 400)

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        return _empty(500)

    @app.get("/{path:path}")
    @app.head("/{path:path}")
    def page(path: str, request: Request, user: GetUserDep) -> Response:
        if path in ("", "/"):
            return RedirectResponse(f"{request.scope.get('root_path', '')}/index.html")
        found = locate(folder, path)
        if found is None:
            raise HTTPException(404)
        if found.suffix not in LOOKS:
            # Only files that are there: an address is told by whoever asks, and could be anything.
            _access.info("read by %r: %s", user.get_name(), found.relative_to(folder).as_posix())
        return FileResponse(found, media_type=SERVED[found.suffix])

    return app


def locate(folder: Path, path: str) -> Path | None:
    """Find a file of the site.

    Args:
        folder: The site's folder, resolved.
        path: Path from the address, decoded.

    Returns:
        The file, or None if there is none, it lies outside, is hidden or of another kind.
    """
    if "\0" in path or "\\" in path or any(part.startswith(".") for part in path.split("/")):
        return None
    try:
        found = (folder / path.lstrip("/")).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    if found.is_dir() and path.endswith("/"):  # without the slash, relative links would break
        found = found / "index.html"
    if not found.is_relative_to(folder) or not found.is_file() or found.suffix not in SERVED:
        return None
    return found


def _empty(status: int) -> Response:
    words = {401: "Sign in to Airflow first.", 403: "Not allowed.", 404: "No such page."}
    return PlainTextResponse(words.get(status, "Not available."), status, headers=HEADERS)
