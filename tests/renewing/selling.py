"""A catalogue in which renewing is switched on, and a parent who uses its pages."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2

import billing.catalog
from billing.checkout import service as checkout
from tests.services.house import House

MONTHLY, YEARLY = "mobile-addons-monthly", "mobile-addons-yearly"
NIGHTLY = frozenset({"reconciliation.recent", "reconciliation.nightly", "invariants.ask", "webhooks.catch_up"})
_SHIPPED = Path(billing.catalog.__file__).parent / "catalog.toml"
OFFER = re.compile(r'name="offer" value="([0-9a-f]+)"')
_YEARLY = """
[[products]]
key = "mobile-addons-yearly"
kind = "renewing"
enabled = true
interval = "year"
names = { pl = "Mobilne dodatki co rok", uk = "Мобільні доповнення щороку", en = "Mobile add-ons, yearly" }
features = ["messages", "desk_view", "push_notifications", "homework"]
methods = ["card"]

[[products.prices]]
gross = 4999
vat_rate_percent = 23
valid_from = 2026-06-01
valid_until = 2030-06-01
"""


def catalogue_text(*, dearer_from: str | None = None, dearer: int = 699, blik: bool = False) -> str:
    """The shipped catalogue with renewing switched on, monthly and yearly; a higher monthly price from a day on; BLIK
    that may be charged again."""
    text = _SHIPPED.read_text(encoding="utf-8").replace("enabled = false", "enabled = true")
    if blik:
        text = text.replace("blik_mandates = false", "blik_mandates = true")
        text = text.replace('methods = ["card"]', 'methods = ["card", "blik"]')
    head, tail = text.split('key = "mobile-addons-monthly"')
    tail = tail.replace("valid_until = 2028-06-01", f"valid_until = {dearer_from or '2030-06-01'}")
    if dearer_from is not None:
        tail += f"""
[[products.prices]]
gross = {dearer}
vat_rate_percent = 23
valid_from = {dearer_from}
valid_until = 2030-06-01
"""
    return f'{head}key = "mobile-addons-monthly"{tail}{_YEARLY}'


class Shop:
    """A parent's browser, without scripts; it follows no redirect by itself."""

    def __init__(self, house: House, client: httpx2.AsyncClient) -> None:
        self.house = house
        self.client = client

    async def live(self, to: datetime) -> None:
        """Let time pass, without the work of every night, which has tests of its own."""
        await self.house.advance(to, without=NIGHTLY)

    async def get(self, path: str, expect: int = 200) -> str:
        """A page; its answer must have the status expected."""
        answer = await self.client.get(path)
        assert answer.status_code == expect, answer.text
        return answer.text

    async def post(self, path: str, expect: int = 303, **form: str) -> httpx2.Response:
        """A form sent."""
        answer = await self.client.post(path, data={"lang": "pl", **form})
        assert answer.status_code == expect, answer.text
        return answer

    async def order(self, account: str, *pupils: str, product: str = MONTHLY, expect: int = 303, **form: str) -> Any:
        """The click on the offer for what renews, all boxes ticked unless told otherwise."""
        link = f"/activate/{await self.house.token(account, *pupils)}"
        page = await self.get(f"{link}?plan={product}")
        shown = OFFER.search(page)
        assert shown, page
        sent = {"terms": "yes", "start_now": "yes", "renew": "yes", "product": product, "offer": shown[1], **form}
        return await self.post(f"{link}/order", expect, **{name: word for name, word in sent.items() if word})

    async def buy(self, account: str, *pupils: str, product: str = MONTHLY, method: str = "card") -> str:
        """From the offer to the bank; answers the path of the order's own page."""
        answer = await self.order(account, *pupils, product=product)
        await self.house.pay(answer.headers["location"], method)
        await self.house.settle()
        return await self.order_page(account)

    async def order_page(self, account: str) -> str:
        """The path of the account's newest order."""
        async with self.house.database.begin() as session:
            row = (await checkout.orders_of(session, account))[-1]
        return f"/orders/{checkout.order_token(self.house.services.site.secret, row)}"

    async def act(self, page: str, act: str) -> str:
        """A button on the page of the renewal; answers the page that follows."""
        answer = await self.post(f"{page}/renewal", act=act)
        return await self.get(answer.headers["location"])
