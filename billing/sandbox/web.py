"""What the sandbox's own pages and answers share: bodies read strictly, pages or JSON as the caller likes."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType

from billing.kernel.bodies import check_text, faults_in
from billing.kernel.errors import Fault, Malformed
from billing.kernel.pages import render
from billing.kernel.speech import speak

AnyRequest = Request[Any, Any, Any]
_T = TypeVar("_T", bound=msgspec.Struct)

# Letters may show pictures and styles of their own; nothing here may run a script or call a foreign host.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-src 'self'; form-action *; "
    "frame-ancestors 'none'; base-uri 'self'"
)


async def body_of(request: AnyRequest, wanted: type[_T]) -> _T:
    """The JSON body as that Struct. Raises ``Malformed`` naming every fault."""
    body = await request.body()
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Malformed("Send JSON.", faults=(Fault("", "unsupported_media_type", "Expected application/json"),))
    check_text(body)
    if faults := faults_in(body, wanted):
        raise Malformed("The body cannot be understood; `errors` names every fault.", faults=faults)
    return msgspec.json.decode(body, type=wanted)


def json_answer(facts: object, status: int = 200) -> Response[bytes]:
    """Facts as JSON, never cached."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(msgspec.json.encode(facts), status_code=status, media_type=MediaType.JSON, headers=headers)


def page(template: str, status: int = 200, headers: Mapping[str, str] | None = None, **facts: object) -> Response[str]:
    """A page of the sandbox, in English."""
    return Response(
        render(f"sandbox/{template}", speak("en"), **facts),
        status_code=status,
        media_type=MediaType.HTML,
        headers={
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept",
            **(headers or {}),
        },
    )


def wants_page(request: AnyRequest) -> bool:
    """True for a browser."""
    return "text/html" in request.headers.get("accept", "")
