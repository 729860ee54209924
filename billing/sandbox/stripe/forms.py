"""Stripe's form encoding: nested brackets in, nested dicts and lists out."""

import re
from typing import Any, cast
from urllib.parse import parse_qsl

from billing.sandbox.stripe.errors import Json, invalid

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")
_DEPTH = 8


def decode(raw: str) -> Json:
    """``a[b][0]=1`` becomes ``{"a": {"b": ["1"]}}``; leaves stay text. A malformed name is a 400."""
    root: Json = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        match = _NAME.match(name)
        if match is None:
            raise invalid(f"Invalid parameter name: {name[:80]}", code="parameter_unknown", param=name[:80])
        parts = [match.group(1), *_PART.findall(match.group(2))]
        if len(parts) > _DEPTH:
            raise invalid(f"Parameter nested too deeply: {name[:80]}", param=name[:80])
        _put(root, parts, value, name)
    return cast("Json", _lists(root))


def _put(node: Json, parts: list[str], value: str, name: str) -> None:
    for part in parts[:-1]:
        child = node.setdefault(part or str(len(node)), {})
        if not isinstance(child, dict):
            raise invalid(f"Invalid object: {name}", param=name)
        node = cast("Json", child)
    last = parts[-1] or str(len(node))
    node[last] = value


def _lists(node: Any) -> Any:
    """A dict whose keys are 0..n-1 is a list: that is how arrays travel."""
    if not isinstance(node, dict):
        return node
    items = {key: _lists(value) for key, value in cast("Json", node).items()}
    if items and all(key.isdigit() for key in items):
        return [items[key] for key in sorted(items, key=int)]
    return items
