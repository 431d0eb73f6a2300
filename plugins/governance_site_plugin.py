"""The only Airflow plugin: the governance site in Airflow's menu, behind Airflow's own login.

Airflow executes this file in every process, tasks included. So it imports nothing but the plugin
base class; the web application is built on the first request, in the API server alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PREFIX = "/governance"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class LazyApp:
    """ASGI application that is built when first asked."""

    def __init__(self) -> None:
        self._app: Callable[[Scope, Receive, Send], Awaitable[None]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._app is None:
            from nachweis.airflow_bridge.site_app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


class GovernanceSitePlugin(AirflowPlugin):
    """Mounts the site and adds it to the menu."""

    name = "governance_site"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": PREFIX, "name": "Governance records"}]
    external_views = [
        {
            "name": "Governance records",
            "href": f"{PREFIX.lstrip('/')}/index.html",
            "destination": "nav",
            "category": "browse",
            "url_route": "governance",
        }
    ]
