"""What letters are composed from, and what composing one answers."""

import msgspec

from billing.catalog.values import Catalogue
from billing.kernel.pages import Seller
from billing.notices.letters import Letter


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What every letter needs to know of this place."""

    catalogue: Catalogue
    seller: Seller
    public_url: str
    secret: str


class Told(msgspec.Struct, frozen=True):
    """A letter that holds, and the secrets of its links."""

    letter: Letter
    secrets: tuple[str, ...] = ()
