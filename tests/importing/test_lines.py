"""Reading a file of accounts: a line is what the routes would take, or it is told everything that is wrong with it."""

import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.accounts.routes import AccountIn
from billing.accounts.rules import address_faults
from billing.kernel.bodies import check_text
from billing.kernel.errors import Invalid, Malformed
from billing.trials.lines import LONGEST_LINE, Line, Read, Start, read_lines, told_in

GOOD = {"account": "a1", "email": "anna@example.pl", "kind": "guardian", "age_band": "adult"}
HEADER = b"account,email,kind,age_band,locale,guardian_email,email_confirmed,pupil,school\n"


def read(body: bytes, kind: str = "ndjson", start: Start = Start()) -> list[Read]:  # noqa: B008 - frozen
    return list(read_lines(io.BytesIO(body), kind, start))


def codes(told: Line | tuple[Any, ...]) -> list[tuple[str, str]]:
    assert not isinstance(told, Line)
    return sorted((fault.pointer, fault.code) for fault in told)


def refused(line: bytes) -> list[tuple[str, str]]:
    """What is wrong with the only line of a file."""
    (only,) = read(line + b"\n")
    return codes(only.told)


def test_every_fault_of_a_line_is_named_with_its_number() -> None:
    bad = {"account": "a b", "email": 7, "kind": "parent", "nickname": "x", "pupil": ""}
    found = read(
        b"\n".join([json.dumps(GOOD).encode(), b"", json.dumps(bad).encode(), b"{", json.dumps(GOOD).encode()])
    )
    assert [one.number for one in found] == [1, 3, 4, 5]
    assert [isinstance(one.told, Line) for one in found] == [True, False, False, True]
    assert codes(found[1].told) == [
        ("/account", "invalid"),
        ("/age_band", "missing"),
        ("/email", "invalid"),
        ("/kind", "invalid"),
        ("/nickname", "unknown_field"),
        ("/pupil", "invalid"),
    ]
    assert codes(found[2].told) == [("", "not_json")]


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"age_band": "under_13"}, [("/guardian_email", "guardian_email_required")]),
        ({"email": "no address"}, [("/email", "not_an_address")]),
        (
            {"email": "x@", "age_band": "under_13", "school": "sp1"},
            [("/email", "invalid")],
        ),
        (
            {"email": "x@-", "guardian_email": "y@@z", "school": "sp1"},
            [("/email", "not_an_address"), ("/guardian_email", "not_an_address"), ("/school", "invalid")],
        ),
    ],
)
def test_what_a_rule_refuses_is_refused_here_too(changes: dict[str, str], faults: list[tuple[str, str]]) -> None:
    assert refused(json.dumps(GOOD | changes).encode()) == faults


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (json.dumps(GOOD).encode()[:-1] + b',"account":"a2"}', "duplicate_key"),
        (json.dumps(GOOD).encode()[:-1] + b',"kind":"guardian"}', "duplicate_key"),
        (json.dumps(GOOD | {"school": "\0"}).encode(), "nul"),
        (json.dumps(GOOD).encode().replace(b"anna", b"ann\xff"), "not_utf8"),
        (b"[" * 200 + b"]" * 200, "too_deep"),
        (b'{"account":' + b"x" * LONGEST_LINE, "too_long"),
        (b"x" * 5 * LONGEST_LINE, "too_long"),
    ],
)
def test_what_is_no_plain_json_is_refused(line: bytes, code: str) -> None:
    assert refused(line) == [("", code)]


def test_after_a_line_that_is_too_long_the_next_one_is_read() -> None:
    good = json.dumps(GOOD).encode()
    found = read(b"\n".join([b"y" * 3 * LONGEST_LINE, good, b"y" * (LONGEST_LINE + 1), good]))
    assert [(one.number, isinstance(one.told, Line)) for one in found] == [(1, False), (2, True), (3, False), (4, True)]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["a1", "x@y.pl", "adult", "under_13"])
)
NAMES = st.sampled_from([*Line.__struct_fields__, "other", 'a"b'])


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.lists(st.tuples(NAMES, VALUES), max_size=2), st.booleans())
def test_a_line_is_good_exactly_where_the_routes_take_it(
    changes: dict[str, Any], twice: list[tuple[str, Any]], is_ascii: bool
) -> None:
    pairs = [*(GOOD | changes).items(), *twice]
    text = ", ".join(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=is_ascii)}" for name, value in pairs)
    body = f"{{{text}}}".encode("utf-8", "surrogatepass")
    assert isinstance(told_in(body), Line) == is_taken(body)


def is_taken(body: bytes) -> bool:
    """Whether PUT of the account, and then of the pupil if there is one, would be answered with 200."""
    try:
        check_text(body)
        line = msgspec.json.decode(body, type=Line)
    except (Malformed, msgspec.ValidationError):
        return False
    person = {name: getattr(line, name) for name in AccountIn.__struct_fields__}
    msgspec.convert(person, AccountIn)
    needs_guardian = line.age_band == "under_13" and line.guardian_email is None
    stray_school = line.school is not None and line.pupil is None
    return not (address_faults(line.email, line.guardian_email) or needs_guardian or stray_school)


def test_a_table_and_json_lines_say_the_same() -> None:
    rows = HEADER + b"a1,anna@example.pl,guardian,adult,uk,,true,p1,sp1\na2,jan@example.pl,pupil,13_17,,,,,\n"
    lines = [
        GOOD | {"locale": "uk", "email_confirmed": True, "pupil": "p1", "school": "sp1"},
        {"account": "a2", "email": "jan@example.pl", "kind": "pupil", "age_band": "13_17"},
    ]
    told = [one.told for one in read(b"\n".join(json.dumps(line).encode() for line in lines))]
    assert [one.told for one in read(rows, "csv")] == told
    assert [one.told for one in read(b"\xef\xbb\xbf" + rows.replace(b",", b";").replace(b"\n", b"\r\n"), "csv")] == told


def test_rows_of_a_table_are_told_their_faults_by_the_line_they_begin_on() -> None:
    rows = HEADER + (
        b'a1,"two\nlines",guardian,adult,pl,,,,\n'
        b"a2,b@example.pl,guardian,adult,pl,,yes,,\n"
        b"a3,b@example.pl\n"
        b"a4,\xff@example.pl,guardian,adult,pl,,,,\n"
        b'a5,"b"x,guardian,adult,pl,,,,\n'
        b"\n"
        b"a6,b@example.pl,guardian,adult,pl,,false,,\n"
    )
    found = [(one.number, one.told if isinstance(one.told, Line) else codes(one.told)) for one in read(rows, "csv")]
    assert found[:4] == [
        (2, [("/email", "not_an_address")]),
        (4, [("/email_confirmed", "invalid")]),
        (5, [("", "invalid")]),
        (6, [("", "not_utf8")]),
    ]
    assert found[4] == (7, [("", "not_csv")])
    assert found[5][0] == 9
    assert isinstance(found[5][1], Line)


def test_a_table_without_the_right_columns_is_refused_whole_naming_each() -> None:
    with pytest.raises(Invalid) as refusal:
        read(b"account,email,kind,kind,nickname\n", "csv")
    assert sorted(f"{fault.pointer} {fault.code}" for fault in refusal.value.faults) == [
        "age_band missing",
        "kind repeated",
        "nickname unknown_field",
    ]


@given(st.sampled_from(["ndjson", "csv"]), st.integers(0, 5), st.booleans())
def test_reading_on_from_any_line_gives_the_rest(kind: str, done: int, has_mark: bool) -> None:
    if kind == "csv":
        body = HEADER + b'a1,"two\nlines",guardian,adult,pl,,,,\n\n' + b"a2,b@example.pl,guardian,adult,pl,,,,\r\n" * 4
    else:
        body = b"\n".join(
            [json.dumps(GOOD).encode(), b"", b"{", b"z" * 2 * LONGEST_LINE, json.dumps(GOOD).encode(), b"x"]
        )
    whole = read(b"\xef\xbb\xbf" * has_mark + body, kind)
    start = Start(whole[done - 1].last, whole[done - 1].end) if done else Start()
    assert read(b"\xef\xbb\xbf" * has_mark + body, kind, start) == whole[done:]
