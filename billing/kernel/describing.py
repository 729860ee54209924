"""Completes the OpenAPI description: schemas as msgspec enforces them, who may call, and what every answer carries.

The framework loses most of what a Struct says: closed requests, bounds inside lists and unions, examples, patterns of
path parameters. So every component and parameter is described by the decoder's own description.
"""

from collections.abc import Iterator
from typing import Any, cast

import msgspec
from litestar import Litestar, Request
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from billing.kernel.problems import MEDIA_TYPE

Fragment = dict[str, Any]
_REFERENCE = "#/components/schemas/{name}"
_HEADERS: Fragment = {
    "X-Request-Id": {
        "description": "Names this request in our logs; the caller's own, where it sent a sane one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "How many seconds to wait before asking again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit": {
        "description": "What is left of the limit: `r` requests, refilled within `t` seconds.",
        "schema": {"type": "string"},
        "example": '"key";r=5999;t=10',
    },
    "Idempotent-Replayed": {
        "description": "`true`: this is the stored answer to the first request with this key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {"description": "How to say who asks.", "schema": {"type": "string", "enum": ["Bearer"]}},
    "Allow": {"description": "The methods of this address.", "schema": {"type": "string"}},
}
_IDEMPOTENCY_KEY: Fragment = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of the caller's own. Sent again with the same body, it is answered byte for byte as the"
    " first time; kept at least 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x20-\\x7e]+$"},
}


class ExactJson(JsonRenderPlugin):
    """Serves the completed description."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The description of the application that answers."""
        del openapi_schema
        return msgspec.json.encode(complete(request.app))


def complete(app: Litestar) -> Fragment:
    """The whole description as plain data."""
    whole = _plain(app.openapi_schema.to_schema())
    handlers = dict(_described(app))
    components = whole["components"]
    structs = _structs(handlers.values())
    _, exact = msgspec.json.schema_components(structs, ref_template=_REFERENCE)
    exact = _plain(exact)
    components["schemas"] = dict(sorted({**components.get("schemas", {}), **exact}.items()))
    components["headers"] = _HEADERS
    whole["webhooks"] = app.state.get("outgoing", {})
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            _complete_operation(operation, method, handlers[path, method.upper()])
    _require_all(whole, sparse={each.__name__ for each in structs if each.__struct_config__.omit_defaults})
    return whole


def _require_all(whole: Fragment, sparse: set[str]) -> None:
    """What we answer has all its fields, also those with a default; `sparse` are the Structs that leave theirs out."""
    schemas = whole["components"]["schemas"]
    operations = [operation for operations in whole["paths"].values() for operation in operations.values()]
    asked = _reached(schemas, [operation.get("requestBody") for operation in operations])
    for name in _reached(schemas, [operation["responses"] for operation in operations]) - asked - sparse:
        if "properties" in schemas[name]:
            schemas[name]["required"] = list(schemas[name]["properties"])


def _reached(schemas: Fragment, start: Any) -> set[str]:
    """The names of all schemas that something refers to, also by others."""
    found = set[str]()
    waiting = [start]
    while waiting:
        match waiting.pop():
            case {"$ref": str(path)} if (name := path.rpartition("/")[2]) in schemas and name not in found:
                found.add(name)
                waiting.append(schemas[name])
            case dict() as fragment:
                waiting += cast("Fragment", fragment).values()
            case list() as fragments:
                waiting += cast("list[Any]", fragments)
            case _:
                pass
    return found


def _plain(fragment: Fragment) -> Fragment:
    return cast("Fragment", msgspec.json.decode(msgspec.json.encode(fragment)))


def _described(app: Litestar) -> Iterator[tuple[tuple[str, str], HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                yield (route.path_format, str(method)), handler


def _structs(handlers: Any) -> list[type[msgspec.Struct]]:
    """Every Struct that a handler reads, answers, or names among its answers."""
    found: dict[type[msgspec.Struct], None] = {}
    for handler in handlers:
        if not handler.include_in_schema:
            continue
        signature = handler.parsed_fn_signature
        named = [field.annotation for name, field in signature.parameters.items() if name == "data"]
        named += [each.annotation for each in (signature.return_type, *signature.return_type.inner_types)]
        named += [spec.data_container for spec in (handler.responses or {}).values()]
        found |= {each: None for each in named if isinstance(each, type) and issubclass(each, msgspec.Struct)}
    return list(found)


def _complete_operation(operation: Fragment, method: str, handler: HTTPRouteHandler) -> None:
    scopes = [scope for guard in handler.resolve_guards() if (scope := getattr(guard, "scope", None)) is not None]
    operation["security"] = [{"key": scopes}] if scopes else []
    operation.pop("deprecated", None)
    fields = handler.parsed_fn_signature.parameters
    for parameter in operation.get("parameters", ()):
        parameter.pop("deprecated", None)
        field = fields.get(parameter["name"])
        if field is not None:
            parameter["schema"] = _exact(field.raw, parameter["schema"])
            parameter.setdefault("description", _of_parameter(parameter))
    is_kept = method == "post" and "409" in operation["responses"]
    if is_kept:
        operation["parameters"] = [*operation.get("parameters", ()), _IDEMPOTENCY_KEY]
    for status, answer in operation["responses"].items():
        _complete_answer(answer, int(status), is_kept=is_kept, is_limited=bool(scopes))


def _exact(annotation: Any, told: Fragment) -> Fragment:
    """The parameter as msgspec checks it, with the default that the framework knows of."""
    exact = msgspec.json.schema(annotation, ref_template=_REFERENCE)
    if "default" in told:
        exact["default"] = told["default"]
    choices = [choice for choice in exact.get("anyOf", ()) if choice != {"type": "null"}]
    return choices[0] if len(choices) == 1 else exact


def _of_parameter(parameter: Fragment) -> str:
    known = {"limit": "At most how many.", "after": "Where the page before ended: its `next`."}
    return known.get(parameter["name"]) or parameter["schema"].get("description") or "An id, as it was told."


def _complete_answer(answer: Fragment, status: int, *, is_kept: bool, is_limited: bool) -> None:
    names = ["X-Request-Id"]
    if is_limited and status not in {401, 403, 413, 415}:
        names.append("RateLimit")
    if status in {429, 503}:
        names.append("Retry-After")
    if status == 401:  # noqa: PLR2004 - HTTP's own number
        names.append("WWW-Authenticate")
    if is_kept and status < 300:  # noqa: PLR2004
        names.append("Idempotent-Replayed")
    answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    for kind, content in answer.get("content", {}).items():
        if kind == MEDIA_TYPE:
            content["schema"] = {"$ref": _REFERENCE.format(name="Problem")}
        elif kind == MediaType.JSON:
            answer["description"] = "Done." if answer["description"].startswith("Request ") else answer["description"]
