"""The OpenAPI description: valid, whole, exact, and the same wherever it is read."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from billing.kernel.keys import SCOPES
from billing.openapi import description
from tests.routes.house import Api
from tests.routes.test_callers import BACKEND

ROOT = Path(__file__).parents[2]
OPEN = {
    "POST /webhooks/stripe": {"400", "503"},
    "GET /.well-known/jwks.json": {"200", "304"},
    "HEAD /.well-known/jwks.json": {"200", "304"},
}
"""What is described and asks for no key, with the answers it must have."""
METHODS = ("get", "put", "post", "delete", "patch", "head")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return description()


def operations(described: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, item[method])
        for path, item in described["paths"].items()
        for method in METHODS
        if method in item
    ]


def test_it_is_valid_openapi_3_1(described: dict[str, Any]):
    assert described["openapi"].startswith("3.1.")
    validate(described)


def test_what_is_committed_is_what_is_built(described: dict[str, Any]):
    """`billing openapi --out openapi.json` after a change of the contract."""
    assert msgspec.json.decode((ROOT / "openapi.json").read_bytes()) == described


async def test_what_is_served_is_what_is_built(api: Api, described: dict[str, Any]):
    for path in ("/schema/openapi.json", "/schema"):
        answer = await api.ask("GET", path, scope=None)
        assert answer.status_code == 200
        assert answer.json() == described


@pytest.mark.slow
def test_the_tool_prints_it_byte_for_byte_as_committed():
    argv = [sys.executable, "-m", "billing", "openapi"]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert told.stdout == (ROOT / "openapi.json").read_bytes()


def test_every_backend_route_is_in_it_with_its_scope(described: dict[str, Any]):
    told = {f"{method.upper()} {path}": operation["security"] for method, path, operation in operations(described)}
    assert {row: told.pop(row) for row in OPEN} == {row: [] for row in OPEN}
    assert told == {row.replace(":str", ""): [{"key": [scope]}] for row, scope in BACKEND.items()}


def test_every_operation_says_what_it_does_and_what_can_go_wrong(described: dict[str, Any]):
    seen: set[str] = set()
    for method, path, operation in operations(described):
        where = f"{method} {path}"
        assert operation["operationId"] not in seen, where
        seen.add(operation["operationId"])
        assert all(operation[name] for name in ("summary", "description", "tags")), where
        answers = operation["responses"]
        wanted = {"400", "401", "403", "429"} if operation["security"] else OPEN[f"{method.upper()} {path}"]
        assert wanted <= set(answers), where
        if "requestBody" in operation:
            assert {"413", "415"} <= set(answers), where
        for status, answer in answers.items():
            assert "X-Request-Id" in answer["headers"], where
            assert answer["description"], where
            if int(status) >= 400:
                told = {kind: content["schema"]["$ref"] for kind, content in answer["content"].items()}
                assert told == _failure_of(path), where
        for status in {"429", "503"} & set(answers):
            assert "Retry-After" in answers[status]["headers"], where
        for parameter in operation.get("parameters", ()):
            assert all(parameter[name] for name in ("description", "schema")), where


def _failure_of(path: str) -> dict[str, str]:
    """How a failure is told: as a problem, and where a protocol has its own shape in that."""
    if path.startswith("/ofrep/"):
        return {"application/json": "#/components/schemas/OfrepFailure"}
    return {"application/problem+json": "#/components/schemas/Problem"}


def test_posts_that_change_something_tell_of_the_idempotency_key(described: dict[str, Any]):
    with_key = {
        path
        for method, path, operation in operations(described)
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "Idempotency-Key" and method == "post"
    }
    assert with_key == {
        "/v1/accounts/{account}/activation-links",
        "/v1/notices/{notice}/shown",
        "/v1/webhook-endpoints",
        "/v1/webhook-endpoints/{endpoint}/rotate-secret",
        "/v1/webhook-endpoints/{endpoint}/enable",
        "/v1/webhook-endpoints/{endpoint}/replay",
        "/v1/webhook-endpoints/{endpoint}/deliveries/{delivery}/retry",
    }


def test_requests_are_closed_and_bounded(described: dict[str, Any]):
    schemas = described["components"]["schemas"]
    for name in ("AccountIn", "PupilIn", "SchoolIn", "LinkIn", "EndpointIn", "ReplayIn"):
        assert schemas[name]["additionalProperties"] is False, name
    assert schemas["LinkIn"]["properties"]["pupils"]["minItems"] == 1
    assert schemas["LinkIn"]["properties"]["pupils"]["items"]["pattern"]
    (limit,) = (
        each
        for each in described["paths"]["/v1/accounts/{account}/pupils"]["get"]["parameters"]
        if each["name"] == "limit"
    )
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}


def test_answers_name_their_type_and_leave_nothing_out(described: dict[str, Any]):
    """Every field of an answer is required: null, never absent."""
    schemas = described["components"]["schemas"]
    for name in (
        "AccountOut",
        "PupilLinkOut",
        "TrialOut",
        "NoticeOut",
        "SubscriptionOut",
        "LinkOut",
        "ErasureOut",
        "DecisionAnswer",
        "EntitlementsAnswer",
        "SchoolOut",
        "ExportOut",
    ):
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"]), name
        assert len(schemas[name]["properties"]["object"]["enum"]) == 1, name


def test_it_is_the_same_every_time(described: dict[str, Any]):
    assert description() == described
    assert set(SCOPES) >= {
        scope for _, _, each in operations(described) for key in each["security"] for scope in key["key"]
    }
