"""Families of the demo, each in another state, living through the public API, the mailbox and the pay page."""

import re
from datetime import timedelta
from typing import Any, Self

import httpx2

LIVED_BEFORE = timedelta(days=47)
"""How long the demo's families have lived when a person first looks."""

_ADDRESS = re.compile(r"/activate/([A-Za-z0-9_-]+)")
_OFFER = re.compile(r'name="offer" value="([0-9a-f]+)"')


class Families:
    """Drives the product as its users do."""

    def __init__(self, public_url: str, outside: str, key: str) -> None:
        self._api = httpx2.AsyncClient(base_url=public_url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        self._outside = httpx2.AsyncClient(base_url=f"{outside}/sandbox", timeout=600)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.aclose()
        await self._outside.aclose()

    async def live(self) -> None:
        """From `LIVED_BEFORE` ago until now: a few schools, and a family in each state a page may have to show."""
        await self._put("/v1/schools/sp-5", {"blocked_features": []})
        await self._put("/v1/schools/lo-2", {"blocked_features": ["messages"]})
        await self._family("nowak", "sp-5", pupils=1)  # told in time, did not pay: back on basic
        await self._pay(await self._family("wisniewska", "sp-5", pupils=2), "card", "succeeded")
        await self._twice_paid()
        await self._pass(days=25)
        await self._family("dabrowska", "sp-5", pupils=1)  # told, the day has not come
        await self._family("shevchenko", "lo-2", pupils=1, locale="uk")
        await self._pass(days=22)
        await self._family("kowalska", "sp-5", pupils=3)  # in the middle of the trial
        await self._pay(await self._family("zielinski", "sp-5", pupils=1), "blik", "pending")
        await self._pay(await self._family("wojcik", "lo-2", pupils=1), "p24", "declined")
        await self._put_account("lewandowska", {"email_confirmed": False})
        await self._outside.post("/drain", json={})

    async def _pass(self, *, days: int) -> None:
        answer = await self._outside.post("/clock", json={"advance": f"PT{days * 24}H"})
        answer.raise_for_status()

    async def _family(self, name: str, school: str, *, pupils: int, locale: str = "pl") -> str:
        account = f"demo-{name}"
        await self._put_account(name, {"locale": locale})
        for number in range(1, pupils + 1):
            await self._put(f"/v1/accounts/{account}/pupils/{account}-{number}", {"school": school})
        return account

    async def _put_account(self, name: str, changes: dict[str, Any]) -> None:
        person = {"email": f"{name}@rodzice.example", "locale": "pl", "kind": "guardian", "age_band": "adult",
                  "email_confirmed": True}  # fmt: skip
        await self._put(f"/v1/accounts/demo-{name}", person | changes)

    async def _twice_paid(self) -> None:
        """Two parents pay for one child; the second gets the money back by itself."""
        first = await self._family("mazur-anna", "sp-5", pupils=1)
        await self._put_account("mazur-piotr", {})
        second = "demo-mazur-piotr"
        await self._put(f"/v1/accounts/{second}/pupils/{first}-1", {"school": "sp-5"})
        sessions = [await self._order(account) for account in (first, second)]
        for session in sessions:
            await self._settle_session(session, "blik", "succeeded")

    async def _pay(self, account: str, method: str, outcome: str) -> None:
        await self._settle_session(await self._order(account), method, outcome)

    async def _order(self, account: str) -> str:
        """Open a link, accept, and land on the payment page; answers its session."""
        pupils = (await self._api.get(f"/v1/accounts/{account}/pupils")).json()["data"]
        wanted = {"pupils": [link["pupil"] for link in pupils]}
        link = (await self._api.post(f"/v1/accounts/{account}/activation-links", json=wanted)).json()
        token = _ADDRESS.search(link["url"])
        page = await self._api.get(link["url"])
        offer = _OFFER.search(page.text)
        if token is None or offer is None:
            raise RuntimeError(f"no offer for {account}: {page.status_code}")
        form = {"offer": offer[1], "terms": "yes", "start_now": "yes"}
        answer = await self._api.post(f"/activate/{token[1]}/order", data=form, follow_redirects=False)
        return answer.headers["location"].rpartition("/")[2]

    async def _settle_session(self, session: str, method: str, outcome: str) -> None:
        path = f"/stripe/control/sessions/{session}/pay"
        answer = await self._outside.post(path, json={"method": method, "outcome": outcome})
        answer.raise_for_status()

    async def _put(self, path: str, body: dict[str, Any]) -> None:
        answer = await self._api.put(path, json=body)
        answer.raise_for_status()
