"""A request that cannot be understood, or that a rule refuses: every fault at once, each with its place."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.routes.house import ADULT, Api
from tests.routes.reading import problem

PUT = ("PUT", "/v1/accounts/a1")


async def test_every_field_at_fault_is_named_at_once_with_its_place(api: Api):
    body = {"emial": "x", "a/b~c": 1, "kind": "robot", "age_band": None, "guardian_email": 7, "email_confirmed": "yes"}
    assert problem(await api.ask(*PUT, body), 400, "malformed_request") == [
        ("/emial", "unknown_field"),
        ("/a~1b~0c", "unknown_field"),
        ("/email", "missing"),
        ("/kind", "invalid"),
        ("/age_band", "invalid"),
        ("/guardian_email", "invalid"),
        ("/email_confirmed", "invalid"),
    ]


async def test_faults_of_path_query_and_body_are_told_together(api: Api):
    answer = await api.ask("PUT", "/v1/accounts/a%20b?foo=1&foo=2&foo[]=3", {"x": 1})
    assert problem(answer, 400, "malformed_request") == [
        ("foo", "unknown_parameter"),
        ("foo[]", "unknown_parameter"),
        ("account", "invalid"),
        ("/x", "unknown_field"),
        ("/email", "missing"),
        ("/kind", "missing"),
        ("/age_band", "missing"),
    ]


async def test_faults_in_lists_are_named_by_their_index(api: Api):
    await api.family()
    path = "/v1/accounts/a1/activation-links"
    answer = await api.ask("POST", path, {"pupils": ["p1", " ", 3, "p\n"]})
    assert [where for where, _ in problem(answer, 400, "malformed_request")] == ["/pupils/1", "/pupils/2", "/pupils/3"]
    assert problem(await api.ask("POST", path, {"pupils": []}), 400, "malformed_request") == [("/pupils", "invalid")]
    many = await api.ask("POST", path, {"pupils": ["p1"] * 51})
    assert problem(many, 400, "malformed_request") == [("/pupils", "invalid")]
    unlinked = await api.ask("POST", path, {"pupils": ["p9", "p1", "p8"]})
    assert problem(unlinked, 422, "not_linked") == [("/pupils/0", "not_linked"), ("/pupils/2", "not_linked")]
    unsold = await api.ask("PUT", "/v1/schools/sp5", {"blocked_features": ["messages", "grades", "?"]})
    assert [where for where, _ in problem(unsold, 422, "invalid_request")] == [
        "/blocked_features/1",
        "/blocked_features/2",
    ]


async def test_an_answer_to_nonsense_stays_small(api: Api):
    answer = await api.ask("PUT", "/v1/schools/sp5", {"blocked_features": [1] * 200_000})
    assert len(problem(answer, 400, "malformed_request")) <= 101
    assert len(answer.content) < 20_000


@pytest.mark.parametrize("account", ["a%0A", "a%00b", "x" * 65])
async def test_a_reference_that_is_none_is_refused_wherever_it_stands(api: Api, account: str):
    """S66: what the contract does not allow never reaches the database, which answers 500 to a NUL."""
    for method, path, body in (
        ("GET", f"/v1/accounts/{account}", None),
        ("PUT", f"/v1/accounts/{account}", ADULT),
        ("DELETE", f"/v1/accounts/{account}", None),
        ("GET", f"/v1/accounts/{account}/export", None),
        ("GET", f"/v1/accounts/{account}/pupils", None),
        ("GET", f"/v1/accounts/{account}/notices", None),
        ("GET", f"/v1/accounts/{account}/subscriptions", None),
        ("GET", f"/v1/accounts/{account}/entitlements?channel=mobile", None),
        ("PUT", f"/v1/accounts/a1/pupils/{account}", {}),
        ("DELETE", f"/v1/accounts/a1/pupils/{account}", None),
        ("PUT", f"/v1/schools/{account}", {"blocked_features": []}),
    ):
        answer = await api.ask(method, path, body)
        assert len(problem(answer, 400, "malformed_request")) == 1, path


async def test_no_other_text_is_taken_for_a_reference(api: Api):
    for account in ("%0Aa1", "a%20", "za%C5%BC", "%ED%A0%80", "a%2Bb", "*", "%FF", "a,b", "a;b", "%E2%80%AE"):
        assert problem(await api.ask("GET", f"/v1/accounts/{account}"), 400, "malformed_request"), account
    for account in ("a", "A-1", "0", "x" * 64, "a.b_c:d-e", ":", "..."):
        assert (await api.ask("GET", f"/v1/accounts/{account}")).status_code == 404, account


@pytest.mark.parametrize("listed", ["pupils", "notices", "subscriptions"])
async def test_a_query_that_cannot_be_meant_is_refused_s67(api: Api, listed: str):
    await api.family()
    for query, named in {
        "limit=0": [("limit", "invalid")],
        "limit=101": [("limit", "invalid")],
        "limit=-1": [("limit", "invalid")],
        "limit=ten": [("limit", "invalid")],
        "limit=1.5": [("limit", "invalid")],
        "limit=": [("limit", "invalid")],
        "limit=99999999999999999999": [("limit", "invalid")],
        "limit=1&limit=2": [("limit", "repeated")],
        "Limit=1": [("Limit", "unknown_parameter")],
        "after=p9": [("after", "invalid")],
        "after=%00": [("after", "invalid")],
        "after=%20&limit=0&x=": [("x", "unknown_parameter"), ("after", "invalid"), ("limit", "invalid")],
    }.items():
        answer = await api.ask("GET", f"/v1/accounts/a1/{listed}?{query}")
        found = problem(answer, 400, "malformed_request")
        known = set(named) if listed == "pupils" or "x=" not in query else set(named) - {("after", "invalid")}
        assert sorted(found) == sorted(known), query
    for query in ("", "limit=1", "limit=100"):
        assert (await api.ask("GET", f"/v1/accounts/a1/{listed}?{query}")).status_code == 200


_NO_DOCUMENTS = [
    (b"", "missing"),
    (b"{", "not_json"),
    (b"nothing", "not_json"),
    (b'{"a":1}{"a":1}', "not_json"),
    (b'{"email":NaN}', "not_json"),
    (b'{"email":"\xff"}', "not_utf8"),
    ('{"email":"a"}'.encode("utf-16"), "not_utf8"),
    (b'\xef\xbb\xbf{"email":"a"}', "byte_order_mark"),
    (b'{"email":"a\\u0000b"}', "nul"),
    (b"[" * 100_000, "too_deep"),
    (b'{"email":"a@b.pl","email":"c@d.pl"}', "duplicate_key"),
    (b"null", "invalid"),
    (b"[]", "invalid"),
]


async def test_a_body_that_is_no_document_is_refused_and_never_half_read_s66_s67(api: Api):
    for body, fault in _NO_DOCUMENTS:
        for path, method in (("/v1/accounts/a1", "PUT"), ("/v1/accounts/a1/activation-links", "POST")):
            answer = await api.ask(method, path, body, headers={"content-type": "application/json"})
            code = "malformed_request" if fault in {"missing", "invalid"} else "malformed_body"
            assert problem(answer, 400, code) == [("", fault)], body[:40]


async def test_only_json_in_utf8_is_read_s43(api: Api):
    key = {"authorization": f"Bearer {api.keys['admin']}"}
    for headers, status in [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "application/jsonx"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({"content-type": "Application/JSON; charset=UTF-8"}, 201),
        ({"content-type": "application/json"}, 200),
        ({}, 415),
    ]:
        answer = await api.client.put("/v1/accounts/a1", content=msgspec.json.encode(ADULT), headers=key | headers)
        assert answer.status_code == status, headers
        if status == 415:
            assert problem(answer, 415, "unsupported_media_type") == []


async def test_a_body_that_is_too_long_is_refused_before_it_is_read(api: Api):
    long = b'{"email":"' + b"a" * 1_000_000 + b'"}'
    problem(await api.ask(*PUT, long), 413, "payload_too_large")

    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(1_100):
            yield b" " * 1000

    sent = {"authorization": f"Bearer {api.keys['admin']}", "content-type": "application/json"}
    problem(await api.client.put("/v1/accounts/a1", content=in_parts(), headers=sent), 413, "payload_too_large")


async def test_a_form_that_is_too_long_is_refused(api: Api):
    """Browsers send little; to read a megabyte of fields takes a third of a second."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    forms = b"a=" + b"1" * 60_000, b"a=" + b"1" * 66_000
    sent = [await api.client.post(f"/activate/{'x' * 32}/order", content=form, headers=kind) for form in forms]
    assert [answer.status_code for answer in sent] == [404, 413]


async def test_a_rule_that_refuses_is_422_and_names_the_fields(api: Api):
    child = ADULT | {"age_band": "under_13", "kind": "pupil"}
    faults = problem(await api.ask(*PUT, child), 422, "guardian_email_required")
    assert faults == [("/guardian_email", "guardian_email_required")]
    bad = child | {"email": "not an address", "guardian_email": "also@not an address"}
    faults = problem(await api.ask(*PUT, bad), 422, "invalid_request")
    assert faults == [("/email", "not_an_address"), ("/guardian_email", "not_an_address")]
    assert problem(await api.ask("GET", "/v1/accounts/a1"), 404, "unknown_account") == []
