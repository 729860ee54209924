"""What the routes that answer questions have in common: they cost as little of the framework as can be."""

from datetime import datetime
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler

from entitlements.facts import Facts
from entitlements.features import FeatureList
from entitlements.means import Means


class Window(HTTPRouteHandler):
    """A route whose guards see the route itself: the framework copies it for each guard of each request."""

    async def authorize_connection(self, connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        """Ask the guards."""
        for guard in self.resolve_guards():
            await cast("Any", guard(connection, self))


def given(request: Request[Any, Any, Any]) -> tuple[FeatureList, Facts, datetime]:
    """What every question is answered with, and the request's own instant. To put them into a handler's arguments, the
    framework starts a task for each of them and each request: three cost as much as the decision itself."""
    means = cast("Means", request.app.state.means)
    return means.features, means.facts, means.clock.now()
