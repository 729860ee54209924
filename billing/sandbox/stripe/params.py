"""What an operation takes. A rule turns the text of a form into a value or refuses it by name, as Stripe does."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from billing.sandbox.stripe.errors import Json, StripeError, invalid

Rule = Callable[[Any, str], Any]
Rules = Mapping[str, Rule]

_DIGITS = 18
_KEYS, _KEY, _VALUE = 50, 40, 500
UNSET = ""
"""An empty string in a form means "take it away"; rules of optional text keep it so that updates can see it."""


def unknown(path: str) -> StripeError:
    """400 ``parameter_unknown`` naming the parameter."""
    return invalid(f"Received unknown parameter: {path}", code="parameter_unknown", param=path)


def needed(path: str) -> StripeError:
    """400 ``parameter_missing`` naming the parameter."""
    return invalid(f"Missing required param: {path}.", code="parameter_missing", param=path)


def read(form: Json, rules: Rules, required: tuple[str, ...] = (), at: str = "") -> Json:
    """The parsed parameters; unknown and missing ones are refused. ``at`` is the path of the enclosing object."""
    parsed: Json = {}
    for name, value in form.items():
        path = f"{at}[{name}]" if at else name
        rule = rules.get(name)
        if rule is None:
            raise unknown(path)
        parsed[name] = rule(value, path)
    for name in required:
        if parsed.get(name) in (None, UNSET):
            raise needed(f"{at}[{name}]" if at else name)
    return parsed


def text(longest: int = 5000) -> Rule:
    """Text of at most ``longest`` characters."""

    def rule(value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {value}", param=path)
        if len(value) > longest:
            raise invalid(f"Invalid string: must be at most {longest} characters", param=path)
        return value

    return rule


def integer(least: int | None = None, most: int | None = None) -> Rule:
    """A whole number between the bounds, both included."""

    def rule(value: Any, path: str) -> int:
        digits = value.removeprefix("-") if isinstance(value, str) else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS):
            raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=path)
        number = int(value)
        if least is not None and number < least:
            raise invalid(f"This value must be greater than or equal to {least}.", param=path)
        if most is not None and number > most:
            raise invalid(f"This value must be less than or equal to {most}.", param=path)
        return number

    return rule


def boolean(value: Any, path: str) -> bool:
    """``true`` or ``false``."""
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", param=path)
    return value == "true"


def choice(*allowed: str) -> Rule:
    """One of the words."""

    def rule(value: Any, path: str) -> str:
        if value not in allowed:
            raise invalid(f"Invalid {path}: must be one of {', '.join(allowed)}", param=path)
        return cast("str", value)

    return rule


def nested(rules: Rules, required: tuple[str, ...] = ()) -> Rule:
    """An object with these members; an empty string takes it away."""

    def rule(value: Any, path: str) -> Any:
        if value == UNSET:
            return UNSET
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=path)
        return read(cast("Json", value), rules, required, path)

    return rule


def listed(inner: Rule, most: int = 100) -> Rule:
    """An array; an empty string is the empty array."""

    def rule(value: Any, path: str) -> list[Any]:
        if value == UNSET:
            return []
        if not isinstance(value, list):
            raise invalid("Invalid array", param=path)
        values = cast("list[Any]", value)
        if len(values) > most:
            raise invalid(f"Array too long: at most {most} values", param=path)
        return [inner(item, f"{path}[{index}]") for index, item in enumerate(values)]

    return rule


def metadata(value: Any, path: str) -> Any:
    """At most 50 keys of 40 characters, values of 500; an empty string clears all."""
    if value == UNSET:
        return UNSET
    pairs = dict(enumerate(cast("list[Any]", value))) if isinstance(value, list) else value
    if not isinstance(pairs, dict):
        raise invalid("Invalid object", param=path)
    known = {str(key): item for key, item in cast("dict[Any, Any]", pairs).items()}
    if len(known) > _KEYS:
        raise invalid("Metadata can have at most 50 keys", param=path)
    for key, item in known.items():
        if not isinstance(item, str) or len(key) > _KEY or len(item) > _VALUE:
            raise invalid("Metadata keys have at most 40 and values at most 500 characters", param=f"{path}[{key}]")
    return known


def span(value: Any, path: str) -> Json:
    """An instant in seconds, or ``gt``/``gte``/``lt``/``lte`` bounds."""
    if isinstance(value, dict):
        bound = integer(0)
        return read(cast("Json", value), {"gt": bound, "gte": bound, "lt": bound, "lte": bound}, (), path)
    stamp = integer(0)(value, path)
    return {"gte": stamp, "lte": stamp}


def merge_metadata(old: Json, new: Any) -> Json:
    """Stripe's merge: named keys change, empty values delete, an empty string clears all."""
    if new is None:
        return dict(old)
    if new == UNSET:
        return {}
    merged = {**old, **cast("Json", new)}
    return {key: value for key, value in merged.items() if value != UNSET}


def or_null(value: Any) -> Any:
    """An unset text as the ``null`` it is shown as."""
    return None if value == UNSET else value


EXPAND: Rule = listed(text(), 20)
"""Every operation takes ``expand``."""
