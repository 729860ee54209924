"""A hand that uses the running product from outside: the app's backend, a parent with a mail program, Stripe's page."""

import itertools
import re
from datetime import date, datetime, timedelta
from typing import Any, Self

import httpx2

from tests.family import DAY, WARSAW, Family, instant, morning

_LINK = re.compile(r"https?://[^\s\"'<>]+")
_OFFER = re.compile(r'name="offer" value="([0-9a-f]+)"')
_numbers = itertools.count(1)


class Hand:
    """Everything people and machines do to the product from outside. Checks that each step did what it should."""

    def __init__(self, url: str, key: str, mark: str) -> None:
        self.url = url
        self._mark = mark
        self._api = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False)
        self._browser = httpx2.Client(base_url=url, timeout=60, trust_env=False)
        self._strings = httpx2.Client(base_url=f"{url}/sandbox", timeout=600, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self._api, self._browser, self._strings):
            client.close()

    # Time

    def now(self) -> datetime:
        """The sandbox's instant."""
        return instant(self._strings.get("/clock").json()["now"])

    def to(self, at: datetime) -> dict[str, int]:
        """Let time pass until `at`; answers what was done on the way."""
        return self._pull("/clock", {"to": at.isoformat()})["ran"]

    def advance(self, span: str) -> dict[str, int]:
        """Let so much time pass, such as ``P12D``."""
        return self._pull("/clock", {"advance": span})["ran"]

    def drain(self) -> dict[str, int]:
        """Let everything that is due now be done."""
        return self._pull("/drain", {})["ran"]

    def try_to_drain(self) -> httpx2.Response:
        """The same where it may not succeed at once."""
        return self._strings.post("/drain", json={})

    def selling(self) -> None:
        """Go on to 1 July if the season on sale now is too near its end for a story of two months."""
        now = self.now().astimezone(WARSAW)
        if date(now.year, 4, 1) <= now.date() < date(now.year, 7, 1):
            self.to(morning(date(now.year, 7, 1), 9))

    def end_trial(self, family: Family) -> None:
        """Let time pass until the trial of the only pupil is over, its end told before it came."""
        self.to(instant(self.answer(family)["valid_until"]) - DAY)
        self.drain()
        self.to(max(self.now(), instant(self.answer(family)["valid_until"])) + timedelta(seconds=1))

    # The app's backend

    def api(self, method: str, path: str, body: object = None, expect: int | None = 200, **more: Any) -> Any:
        """One call with the API key; the body of its answer."""
        answer = self._api.request(method, path, json=body, **more)
        if expect is not None:
            assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def register(self, story: str, **changes: Any) -> Family:
        """A new account, of an adult with a confirmed address unless told otherwise."""
        number = next(_numbers)
        name = f"{story}-{self._mark}-{number}"
        mail = changes.pop("email", f"{name}@rodzice.example")
        person = {"email": mail, "locale": "pl", "kind": "guardian", "age_band": "adult", "email_confirmed": True}
        self.api("PUT", f"/v1/accounts/{name}", person | changes, expect=201)
        return Family(name, mail, school=f"szkola-{self._mark}-{number}")

    def link(self, family: Family, pupil: str | None = None, expect: int = 201) -> dict[str, Any]:
        """Link a pupil, a new one unless named; answers the pupil's trial."""
        pupil = pupil or f"uczen-{self._mark}-{next(_numbers):05}"
        path = f"/v1/accounts/{family.account}/pupils/{pupil}"
        linked = self.api("PUT", path, {"school": family.school}, expect=expect)
        if pupil not in family.pupils:
            family.pupils.append(pupil)
        family.trial = linked["trial"]
        return family.trial

    def unlink(self, family: Family, pupil: str) -> None:
        """Let go of a pupil."""
        self.api("DELETE", f"/v1/accounts/{family.account}/pupils/{pupil}", expect=204)
        family.pupils.remove(pupil)

    def family(self, story: str, pupils: int = 1, **changes: Any) -> Family:
        """An account with so many pupils, whose trials have just begun."""
        made = self.register(story, **changes)
        for _ in range(pupils):
            self.link(made)
        return made

    def block(self, school: str, *features: str) -> None:
        """A school blocks exactly these add-ons."""
        self.api("PUT", f"/v1/schools/{school}", {"blocked_features": list(features)})

    def answer(self, family: Family, pupil: str | None = None, at: datetime | None = None, **more: str) -> Any:
        """May this account use an add-on (`messages`) in the app, for this pupil? Asked of the database itself."""
        query = {"channel": "mobile", "consistency": "strong", "pupil": pupil or family.pupil}
        if at is not None:
            query["at"] = at.isoformat().replace("+00:00", "Z")
        feature = more.pop("feature", "messages")
        return self.api("GET", f"/v1/accounts/{family.account}/entitlements/{feature}", params=query | more)

    def allows(self, family: Family, pupil: str | None = None, at: datetime | None = None) -> tuple[bool, str]:
        """The answer and its reason, in short."""
        told = self.answer(family, pupil, at)
        return told["allowed"], told["reason"]

    def trial(self, family: Family, pupil: str | None = None) -> dict[str, Any]:
        """The pupil's trial as it stands."""
        rows = self.api("GET", f"/v1/accounts/{family.account}/pupils")["data"]
        return next(row["trial"] for row in rows if row["pupil"] == (pupil or family.pupil))

    def notices(self, family: Family) -> list[dict[str, Any]]:
        """What this account must be told."""
        return self.api("GET", f"/v1/accounts/{family.account}/notices")["data"]

    def orders(self, family: Family) -> list[dict[str, Any]]:
        """The account's orders, from the person's own data (R91)."""
        return self.api("GET", f"/v1/accounts/{family.account}/export")["orders"]

    def passes(self, family: Family) -> list[dict[str, Any]]:
        """The paid rights of the account's pupils."""
        return self.api("GET", f"/v1/accounts/{family.account}/subscriptions")["data"]

    def new_link(self, family: Family) -> str:
        """A fresh activation link for all pupils of the account."""
        path = f"/v1/accounts/{family.account}/activation-links"
        return self.api("POST", path, {"pupils": family.pupils}, expect=201)["url"]

    # A parent with a mail program and a browser

    def letters(self, to: str, about: str = "") -> list[dict[str, Any]]:
        """The letters to an address, oldest first; those whose subject holds `about`."""
        found = self._strings.get("/mailbox", params={"to": to}).json()["data"]
        return [letter for letter in found if about in letter["subject"]]

    def letter(self, to: str, about: str = "") -> dict[str, Any]:
        """The one letter about something."""
        found = self.letters(to, about)
        assert len(found) == 1, [letter["subject"] for letter in self.letters(to)]
        return found[0]

    def link_in(self, letter: dict[str, Any], path: str = "/activate/") -> str:
        """The link of a letter; the plain text and the HTML carry the same one (R22)."""
        found = {url.rstrip(".,;)") for url in _LINK.findall(letter["text"]) if path in url}
        found -= {url for url in found if any(url.startswith(f"{shorter}/") for shorter in found)}
        assert len(found) == 1, letter["text"]
        url = found.pop()
        assert url in letter["html"]
        return url

    def open(self, url: str, method: str = "GET", **headers: str) -> Any:
        """A page as a browser without scripts gets it."""
        return self._browser.request(method, url, headers=headers)

    def click(self, link: str, page: str | None = None, **form: str) -> Any:
        """The click on "Zamawiam i płacę" with the boxes ticked, on the page as it was opened."""
        shown = page if page is not None else self.open(link).text
        offer = _OFFER.search(shown)
        assert offer is not None, shown
        sent = {"offer": offer[1], "lang": "pl", "terms": "yes", "start_now": "yes", **form}
        return self._browser.post(f"{link}/order", data=sent, follow_redirects=False)

    def send(self, url: str, **form: str) -> Any:
        """A form of a page, sent as a browser without scripts sends it."""
        return self._browser.post(url, data=form, follow_redirects=False)

    def to_pay(self, link: str) -> str:
        """The payment page's session, reached by the click."""
        answer = self.click(link)
        assert answer.status_code == 303, answer.text
        assert "/sandbox/stripe/pay/cs_" in answer.headers["location"]
        return answer.headers["location"].rpartition("/")[2]

    # Stripe's side

    def pay_page(self, session: str, method: str, outcome: str, **form: str) -> str:
        """Pay on the page a parent sees; answers the address of the order's own page."""
        page = self._strings.get(f"/stripe/pay/{session}")
        assert page.status_code == 200, page.text
        sent = {"method": method, "outcome": outcome, "blik_code": "123456", "bank": "ing"} | form
        answer = self._strings.post(f"/stripe/pay/{session}", data=sent, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def pay(self, session: str, method: str = "blik", outcome: str = "succeeded") -> Any:
        """Pay by pulling a string."""
        return self._pull(f"/stripe/control/sessions/{session}/pay", {"method": method, "outcome": outcome})

    def settle(self, session: str, outcome: str) -> Any:
        """The bank's late answer."""
        return self._pull(f"/stripe/control/sessions/{session}/settle", {"outcome": outcome})

    def stripe_fault(self, **given: str) -> None:
        """What goes wrong at Stripe: `webhooks`, `api`."""
        self._pull("/stripe/control/faults", given)

    def mail_fault(self, mode: str, only_to: str | None = None, *, kept: bool = True) -> None:
        """What goes wrong at the mail server, towards whom."""
        self._pull("/mailbox/faults", {"mode": mode, "only_to": only_to, "kept": kept})

    def mend(self) -> None:
        """Nothing goes wrong any more, and what was held back is done."""
        self.stripe_fault(webhooks="normal", api="normal")
        self.mail_fault("normal")
        self.drain()

    def asked(self, path: str = "", method: str = "") -> list[dict[str, Any]]:
        """What was asked of Stripe, newest last."""
        found = self._strings.get("/stripe/control/requests").json()["data"]
        return [one for one in found if one["path"].startswith(path) and method in {"", one["method"]}]

    def sessions_opened(self, family: Family) -> list[dict[str, Any]]:
        """The requests that opened a payment page for one of the account's orders."""
        ours = {order["id"] for order in self.orders(family)}
        sent = self.asked("/v1/checkout/sessions", "POST")
        return [one for one in sent if one["form"].get("metadata", {}).get("order") in ours]

    def balance(self) -> tuple[int, int]:
        """How many charges and refunds there are at Stripe."""
        rows = {name: self.stripe_list(name) for name in ("charges", "refunds")}
        return len(rows["charges"]), len(rows["refunds"])

    def refunds(self, session: str) -> list[dict[str, Any]]:
        """What went back of the payment made on a page."""
        paid = self._stripe(f"checkout/sessions/{session}")["payment_intent"]
        return [row for row in self.stripe_list("refunds") if row["payment_intent"] == paid]

    def _stripe(self, path: str, **query: Any) -> Any:
        headers = {"Authorization": "Bearer sk_test_of_a_person_looking"}
        answer = self._strings.get(f"/stripe/v1/{path}", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stripe_list(self, name: str) -> list[dict[str, Any]]:
        """Everything of a kind that Stripe has."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = self._stripe(name, limit=100, **more)
            found += page["data"]
            if not page["has_more"]:
                return found
            more = {"starting_after": found[-1]["id"]}

    def _pull(self, path: str, body: object) -> Any:
        answer = self._strings.post(path, json=body)
        assert answer.status_code // 100 == 2, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()
