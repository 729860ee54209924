"""A stretch of time whose list is too long to be read at once, in parts that are not."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from billing.payments.facts import ListTooLong

T = TypeVar("T")

AT_ONCE: Final = 20_000
"""How many objects of a list are read at once."""

_SHORTEST: Final = timedelta(seconds=2)


async def in_parts(
    read: Callable[[datetime, datetime], Awaitable[T]], since: datetime, until: datetime
) -> AsyncGenerator[T]:
    """What `read` tells of [since, until), the earliest part first: where a list is too long, of each half of it. What
    was told stays told when a later part fails. Raises what `read` raises; ListTooLong where two seconds hold too
    much."""
    waiting = [(since, until)]
    while waiting:
        first, last = waiting.pop()
        try:
            found = await read(first, last)
        except ListTooLong:
            if last - first <= _SHORTEST:
                raise
            middle = first + (last - first) // 2
            waiting += [(middle, last), (first, middle)]
        else:
            yield found
