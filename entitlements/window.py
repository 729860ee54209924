"""What the routes that answer questions have in common: they cost as little of the framework as can be."""

from datetime import datetime
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from entitlements.facts import Facts
from entitlements.features import FeatureList


class Window(HTTPRouteHandler):
    """A route whose guards see the route itself: the framework copies it for each guard of each request."""

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Ask the guards."""
        for guard in self.resolve_guards():
            await cast("Any", guard(connection, self))


async def given(request: Request[Any, Any, Any]) -> tuple[FeatureList, Facts, datetime]:
    """What the application gives to every question: the features, who knows the facts, and the request's instant."""
    return await by_name(request, "features"), await by_name(request, "facts"), await by_name(request, "at")


async def by_name(request: Request[Any, Any, Any], name: str) -> Any:
    """What the application gives by this name. To put it into a handler's arguments, the framework starts a task for
    each name and request, and three of them cost as much as the decision itself."""
    return await cast("dict[str, Provide]", request.app.dependencies)[name]()
