"""Reading a JSON body so that a bad one is told everything that is wrong with it, and nothing half-read gets in.

`check_text` looks at the bytes before any decoder (a plain one answers UnicodeDecodeError or RecursionError, and takes
the last of two equal keys: S66, S67); `faults_in` names every field at fault, where msgspec alone stops at the first.
"""

import functools
import json
import re
from collections import Counter
from itertools import accumulate, islice
from typing import Annotated, Any, cast, get_args, get_origin

import msgspec

from billing.kernel.errors import Fault, Malformed

LONGEST = 1_000_000
DEEPEST = 32
MOST_FAULTS = 100
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or what was begun as one and never ended: else each quote in it would be tried as a beginning."""
_BRACKET = re.compile(r"[\[\]{}]")
_LONG = re.compile(r"(?<![0-9])[0-9]{300}")
"""More digits than a number of ours has; Python refuses to count some thousands of them."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def check_text(body: bytes) -> None:
    """Refuse what is not one plain JSON document: bytes that are not UTF-8, NUL, too deep, with a key twice,
    or with half a surrogate pair or a number out of range."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise _bad("not_utf8", f"byte {fault.start} is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise _bad("byte_order_mark", "a byte order mark does not belong in JSON")
    if "\0" in text or ("\\u0000" in text and _NUL.search(text)):
        raise _bad("nul", "U+0000 cannot be stored")
    bare = _bare(text)
    if text.count("[") + text.count("{") > DEEPEST and _depth(bare) > DEEPEST:
        raise _bad("too_deep", f"nested deeper than {DEEPEST}")
    try:
        members = _members(msgspec.json.decode(body))
        if bare.count(":") != members or _LONG.search(bare):  # a key is there twice, or a number to look at
            json.loads(text, object_pairs_hook=_unique)
    except msgspec.DecodeError as fault:
        raise _bad("not_json", str(fault)) from None
    except ValueError:  # Python counts the digits of a number, our decoder does not
        raise _bad("not_json", "a number is too long") from None


def faults_in(body: bytes, wanted: Any) -> tuple[Fault, ...]:
    """Every way in which `body` is not a `wanted`, each with a JSON pointer; of a list and of unknown fields, the first
    hundred."""
    found: list[Fault] = []
    _walk(json.loads(body), wanted, "", found)
    return tuple(found)


def _walk(value: Any, wanted: Any, pointer: str, found: list[Fault]) -> None:
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        _walk_struct(value, wanted, pointer, found)
        return
    plain, *bounds = get_args(wanted) if get_origin(wanted) is Annotated else (wanted,)
    if get_origin(plain) is list and isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            if len(found) >= MOST_FAULTS:
                return
            _walk(item, get_args(plain)[0], f"{pointer}/{index}", found)
        wanted = functools.reduce(lambda kind, bound: Annotated[kind, bound], bounds, cast("Any", list[Any]))
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as fault:
        words = str(fault)
        found.append(Fault(pointer, "invalid", words.split(" - at `", maxsplit=1)[0]))


def _walk_struct(value: Any, wanted: type[msgspec.Struct], pointer: str, found: list[Fault]) -> None:
    if not isinstance(value, dict):
        found.append(Fault(pointer, "invalid", "Expected an object"))
        return
    given = cast("dict[str, Any]", value)
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    unknown = islice((name for name in given if name not in fields), MOST_FAULTS)
    found += [Fault(f"{pointer}/{_escaped(name)}", "unknown_field", "There is no such field") for name in unknown]
    for name, field in fields.items():
        if name in given:
            _walk(given[name], field.type, f"{pointer}/{name}", found)
        elif field.required:
            found.append(Fault(f"{pointer}/{name}", "missing", "This field is required"))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(told := dict(pairs)) != len(pairs):
        twice = sorted(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
        raise _bad("duplicate_key", f"given twice: {', '.join(twice)[:200]}")
    return told


def _bare(text: str) -> str:
    """What stands outside strings."""
    return _STRING.sub("", text) if "\\" in text else "".join(text.split('"')[::2])


def _members(value: Any) -> int:
    """How many members all objects have together, of keys given twice one."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return len(members) + sum(_members(each) for each in members.values() if isinstance(each, (dict, list)))
    items = cast("list[Any]", value) if isinstance(value, list) else ()
    return sum(_members(each) for each in items if isinstance(each, (dict, list)))


def _depth(bare: str) -> int:
    """How deep brackets nest, of what stands outside strings; of what is surely not too deep, at least how deep."""
    brackets = "".join(_BRACKET.findall(bare))
    for shallow in range(DEEPEST // 2):
        if not brackets:
            return shallow
        brackets = brackets.replace("[]", "").replace("{}", "")  # takes away one level or two
    return max(accumulate(1 if letter in "[{" else -1 for letter in _BRACKET.findall(bare)))


def _bad(code: str, words: str) -> Malformed:
    return Malformed("The body is not a usable JSON document.", code="malformed_body", faults=(Fault("", code, words),))
