"""The line to the provider, as the parts of the gateway that read its books or its renewals use it.

Only `stripe_gateway.py` knows the library behind it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol


class Answer(Protocol):
    """An object of the provider's library."""

    def to_dict(self, recursive: bool = True, for_json: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
        """The object as plain data."""
        ...


class Line(Protocol):
    """Calls, with the three outcomes of `gateway.Gateway`."""

    @property
    def v1(self) -> Any:
        """The provider's resources, as its library names them."""
        ...

    @property
    def livemode(self) -> bool:
        """Whether real money moves here (R62)."""
        ...

    async def ask(self, call: Callable[[], Awaitable[Answer]]) -> dict[str, Any]:
        """One answer as plain data. Raises the provider's errors."""
        ...

    def all_of(
        self, listing: Callable[[Any], Awaitable[Answer]], wanted: dict[str, Any], most: int | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Every object of a list, page by page, the newest first. Raises ListTooLong where there are more than `most`,
        rounded up to a page, and never stops before the end."""
        ...
