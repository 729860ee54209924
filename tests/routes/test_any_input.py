"""Requests made up from the description: no answer breaks, and every answer is what the description says of it."""

from typing import Any, cast

import anyio
import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

from billing.kernel.describing import complete
from tests.gateway.world import served
from tests.routes.house import ADULT, Api

EXAMPLES = 25
"""For each operation, of good requests and again of bad ones."""

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
]

ITEM_BY_ITEM = {"POST /v1/entitlements/check"}
"""A bad item of a batch is told in its place; its neighbours are answered."""


def explore(described: dict[str, Any], base: str, key: str) -> list[str]:
    """Sends what the description allows and what it forbids; answers what was found."""
    checks.load_all_checks()
    wanted = checks.CHECKS.get_by_names(CHECKS)
    schema = schemathesis.openapi.from_dict(described)
    found: list[str] = []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        _make_a_family(session, base)
        for each in schema.get_all_operations():
            operation = cast("Any", each).ok()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                may_pass = operation.label in ITEM_BY_ITEM
                chosen = [check for check in wanted if not (may_pass and check.__name__ == "negative_data_rejection")]
                found += _try(operation, mode, session, base, chosen)
    return found


def _make_a_family(session: requests.Session, base: str) -> None:
    """So that there is something behind the description's own examples."""
    body = msgspec.json.encode(ADULT)
    sent = {"Content-Type": "application/json"}
    assert session.put(f"{base}/v1/accounts/a-1001", data=body, headers=sent, timeout=10).status_code == 201
    assert session.put(f"{base}/v1/accounts/a-1001/pupils/p1", data=b"{}", headers=sent, timeout=10).status_code == 201


def _try(operation: Any, mode: GenerationMode, session: requests.Session, base: str, wanted: Any) -> list[str]:
    found: list[str] = []

    @seed(20261121)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        answer = case.call(base_url=base, session=session, headers={"Authorization": session.headers["Authorization"]})
        case.validate_response(answer, checks=wanted, transport_kwargs={"session": session})

    try:
        send()
    except Unsatisfiable:  # nothing that is bad can be made up: any text may be an id
        assert mode is GenerationMode.NEGATIVE
    except (Exception, BaseExceptionGroup) as fault:  # noqa: BLE001 - whatever is found is told for every operation, not the first alone
        found.append(f"{operation.label} {mode.value}: {fault!r:.200}\n{fault}")
    return found


@pytest.mark.slow
async def test_whatever_is_sent_nothing_breaks_and_every_answer_is_as_described(api: Api):
    described = complete(api.app)
    for item in described["paths"].values():
        for operation in item.values():
            operation["security"] = []  # who may call is another test's; here everybody holds a good key
    del described["paths"]["/webhooks/stripe"]  # signed: any other body is refused, which its own tests say
    async with served(api.app) as port:
        base = f"http://127.0.0.1:{port}"
        found = await anyio.to_thread.run_sync(explore, described, base, api.keys["admin"])
    assert not found, "\n\n".join(found)
