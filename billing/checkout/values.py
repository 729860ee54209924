"""Orders as far as comparing them with the provider's books needs. Pure."""

import msgspec


class KnownOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it stands with us. `session_id` is its last payment page; `is_page_open` that we hold it for open."""

    order: str
    account: str | None
    state: str
    total: int
    currency: str
    session_id: str | None
    is_page_open: bool

    @property
    def is_paid(self) -> bool:
        """Whether money has come for it."""
        return self.state == "paid"
