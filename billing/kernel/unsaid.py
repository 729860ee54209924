"""What is to be said aloud once at each of several steps, as a statement reckons it."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func


def first_unsaid(steps: Iterable[Any], said_at: Any) -> Any:
    """The first of the steps (instants) at or before which nothing was said; null: none. `said_at` is when something
    was said last, or null."""
    return func.least(*(func.nullif(func.greatest(step, said_at), said_at) for step in steps))
