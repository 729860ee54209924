"""Who may do what in the staff's rooms: one table, read by the guards and by the navigation alike (R117). Pure."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal, cast, get_args

import msgspec

Role = Literal["viewer", "finance", "finance_lead", "auditor", "admin"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
IDLE: Final = timedelta(minutes=30)
LONGEST: Final = timedelta(hours=10)

_READERS: Final[frozenset[Role]] = frozenset(ROLES)
_EXPORTERS: Final[frozenset[Role]] = frozenset({"finance", "finance_lead", "auditor", "admin"})
_ACTORS: Final[frozenset[Role]] = frozenset({"finance", "finance_lead", "admin"})
_AUDITORS: Final[frozenset[Role]] = frozenset({"finance_lead", "auditor", "admin"})
# The strongest first: somebody with several roles works with this one.
_STRENGTH: Final[tuple[Role, ...]] = ("admin", "finance_lead", "finance", "auditor", "viewer")


class Route(msgspec.Struct, frozen=True):
    """One way in: `roles` None is open to everybody; `nav` is its name in the navigation, if it stands there."""

    method: Literal["GET", "POST"]
    path: str
    roles: frozenset[Role] | None
    nav: str | None = None


ROUTES: Final = (
    Route("GET", "/finance/login", None),
    Route("GET", "/finance/callback", None),
    Route("GET", "/finance/logged-out", None),
    Route("GET", "/finance/static/{name}", None),
    Route("POST", "/finance/logout", _READERS),
    Route("GET", "/finance", _READERS, "nav_list"),
    Route("GET", "/finance/export.csv", _EXPORTERS),
    Route("GET", "/finance/accounts/{account}", _READERS),
    Route("GET", "/finance/orders/{order}", _READERS),
    Route("GET", "/finance/tasks", _READERS, "nav_tasks"),
    Route("GET", "/finance/cases", _READERS, "nav_cases"),
    Route("GET", "/finance/cases/{case}", _READERS),
    Route("POST", "/finance/cases/{case}", _ACTORS),
    Route("GET", "/finance/orders/{order}/{act}", _ACTORS),
    Route("POST", "/finance/orders/{order}/{act}", _ACTORS),
    Route("GET", "/finance/books", _READERS, "nav_books"),
    Route("GET", "/finance/invoices", _READERS, "nav_invoices"),
    Route("POST", "/finance/invoices", _ACTORS),
    Route("GET", "/finance/invoices.ndjson", _ACTORS),
    Route("GET", "/finance/letters", _READERS, "nav_letters"),
    Route("GET", "/finance/letters/{letter}", _READERS),
    Route("GET", "/finance/letters/{letter}/html", _READERS),
    Route("GET", "/finance/events", _READERS, "nav_events"),
    Route("GET", "/finance/audit", _AUDITORS, "nav_audit"),
)

_TABLE: Final[Mapping[tuple[str, str], frozenset[Role] | None]] = {
    (route.method, route.path): route.roles for route in ROUTES
}


def may(role: Role, method: str, path: str) -> bool:
    """Whether a role may use a route; what has no row in the table is for nobody. HEAD counts as GET."""
    key = ("GET" if method == "HEAD" else method, path.rstrip("/") or "/")
    if key not in _TABLE:
        return False
    roles = _TABLE[key]
    return roles is None or role in roles


def navigation(role: Role) -> tuple[Route, ...]:
    """What stands in the navigation of a role."""
    return tuple(route for route in ROUTES if route.nav is not None and may(role, route.method, route.path))


def role_in(claims: Mapping[str, Any], claim: str) -> Role | None:
    """The strongest of our roles that the log-in names; None: the person may not come in.

    `claim` is the claim's name, or a path with dots (`realm_access.roles`). It holds a list of texts, or one text.
    """
    found: Any = claims.get(claim)
    if found is None:
        found = claims
        for part in claim.split("."):
            found = cast("Mapping[str, Any]", found).get(part) if isinstance(found, Mapping) else None
    named: Iterable[Any] = (found,) if isinstance(found, str) else found if isinstance(found, list) else ()
    names = {name for name in named if isinstance(name, str)}
    return next((role for role in _STRENGTH if role in names), None)
