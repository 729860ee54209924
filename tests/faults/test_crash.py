"""kill -9 of worker children, the worker itself and the web, while they work: nothing lost, nothing done twice.

The killed are children of the sandbox, which brings them back; the stand-ins' books and the mailbox are the witnesses.
"""

import asyncio
import collections
import concurrent.futures
import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import asyncpg
import httpx2
import pytest

from tests.family import DAY, MINUTE, PASS_PRICE, Family, morning
from tests.hand import Hand
from tests.living import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

LEASE = "PT10M"
"""Longer than any lease under which a dead worker held something."""


@contextlib.contextmanager
def killing(sandbox: Sandbox, seed: int, every: float, *victims: str) -> Generator[list[str]]:
    """Kill one of the victims' processes now and then while the block runs; what was killed, by name.

    `child` is a process of the worker's pool, `worker` its main process, `web` the web server with its children.
    """
    chance, over, killed = random.Random(seed), threading.Event(), list[str]()

    def run() -> None:
        while not over.wait(every * chance.uniform(0.5, 1.5)):
            name = chance.choice(victims)
            pids = pids_of(sandbox, name)
            if pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
                    killed.append(name)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def until_killed(killed: Sequence[str], many: int) -> None:
    """However quick the product was: the killing goes on for two seconds, and until so many have died."""
    time.sleep(2)
    deadline = time.monotonic() + 60
    while len(killed) < many:
        assert time.monotonic() < deadline, killed
        time.sleep(0.1)


def pids_of(sandbox: Sandbox, name: str) -> list[int]:
    """The processes of that name which live now; only ever children of this sandbox."""
    if name == "web":
        return sandbox.processes("billing.cli serve")
    workers = sandbox.processes("billing.cli worker")
    return workers[:1] if name == "worker" else workers[1:]


def persistently(call: Callable[[], httpx2.Response], good: Sequence[int], seconds: float = 60) -> httpx2.Response:
    """As a person does: again after a broken connection or a page that says "later"."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx2.TransportError):
            answer = call()
            if answer.status_code in good:
                return answer
            assert answer.status_code in {429, 500, 502, 503}, answer.text
        assert time.monotonic() < deadline, "no answer any more"
        time.sleep(0.2)


def come_back(hand: Hand) -> None:
    """Everybody is brought back, every lease runs out, everything due is done."""
    persistently(lambda: hand.open("/readyz"), [200])
    hand.drain()
    hand.advance(LEASE)
    hand.advance(LEASE)


def asked_of_database(sandbox: Sandbox, question: str) -> list[tuple[object, ...]]:
    """The rows that answer a question, from the sandbox's own database."""
    environ = Path(f"/proc/{sandbox.processes('billing.cli beat')[0]}/environ").read_bytes().split(b"\0")
    url = next(line for line in environ if line.startswith(b"BILLING_DATABASE_URL=")).decode().partition("=")[2]

    async def ask() -> list[tuple[object, ...]]:
        link = await asyncpg.connect(url.replace("postgresql+asyncpg:", "postgresql:"))
        try:
            return [tuple(row) for row in await link.fetch(question)]
        finally:
            await link.close()

    return asyncio.run(ask())


def books_balance(sandbox: Sandbox) -> None:
    """Every transaction of the ledger, and so all of it, sums to zero (I09)."""
    wrong = "select transaction_id from ledger_line group by transaction_id having sum(amount) <> 0"
    assert asked_of_database(sandbox, wrong) == []


def each_told_once(hand: Hand, families: Sequence[Family], about: str) -> None:
    """One letter for each; where a kill left it in doubt, one copy more under the same Message-ID (I18)."""
    repeated = 0
    for family in families:
        ids = [letter["headers"]["Message-ID"] for letter in hand.letters(family.email, about)]
        assert len(set(ids)) == 1, (family.account, ids)
        assert len(ids) <= 2, (family.account, ids)
        repeated += len(ids) - 1
    assert repeated <= len(families) // 4, "doubt is a rare thing"


def test_killed_while_sending_notices(hand: Hand, sandbox: Sandbox) -> None:
    """F03, F04, R27, I18, I19: pool children and the worker itself die while thirty families are told."""
    families = [hand.family("powiadomienie") for _ in range(30)]
    hand.to(morning(families[0].day - 10 * DAY) - MINUTE)
    with killing(sandbox, 1, 0.25, "child", "child", "worker") as killed:
        hand.advance("PT2M")
        more = [hand.register("potwierdzenie", email_confirmed=False) for _ in range(30)]
        until_killed(killed, 5)
    come_back(hand)
    each_told_once(hand, families, "Od ")
    each_told_once(hand, more, "Potwierdź swój adres")
    for family in families:
        assert [one["state"] for one in hand.notices(family)] == ["handed_over"]
        assert hand.trial(family)["notice"]["state"] == "handed_over"
        assert hand.allows(family) == (True, "trial")


def test_killed_while_orders_are_placed_and_paid(hand: Hand, sandbox: Sandbox) -> None:
    """F01, F02, I11, I12, I21: web and workers die between the click and the right; one order, page, right, letter."""
    families = [hand.family("zamowienie") for _ in range(16)]
    links = [hand.new_link(family) for family in families]
    pages = [hand.open(link).text for link in links]
    hand.drain()
    with killing(sandbox, 2, 0.6, "web", "child", "worker") as killed:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            clicks = [pool.submit(buy, hand, sandbox, link, page) for link, page in zip(links, pages, strict=True)]
            sessions = [click.result() for click in clicks]
        until_killed(killed, 4)
    come_back(hand)
    for family, session in zip(families, sessions, strict=True):
        (order,) = hand.orders(family)
        assert (order["state"], [one["amount"]["amount"] for one in order["payments"]]) == ("paid", [PASS_PRICE])
        assert len(hand.passes(family)) == 1
        assert hand.allows(family) == (True, "paid")
        assert hand.refunds(session) == []
    each_told_once(hand, families, "Potwierdzenie zawarcia umowy")
    made = collections.Counter(row["metadata"].get("order") for row in hand.stripe_list("checkout/sessions"))
    assert {made[hand.orders(family)[0]["id"]] for family in families} == {1}
    books_balance(sandbox)
    kept = asked_of_database(sandbox, "select state, count(*) from stripe_event group by state")
    assert {state for state, _ in kept} <= {"done", "ignored"}
    assert sandbox.faults() == []


def buy(hand: Hand, sandbox: Sandbox, link: str, page: str) -> str:
    """Click until a payment page opens, then pay on it at once; answers its session."""
    answer = persistently(lambda: hand.click(link, page), [303])
    session = answer.headers["location"].rpartition("/")[2]
    outside = (sandbox.folder / "outside-port").read_text(encoding="utf-8").strip()
    paid = httpx2.post(
        f"http://127.0.0.1:{outside}/sandbox/stripe/control/sessions/{session}/pay",
        json={"method": "blik", "outcome": "succeeded"},
        timeout=60,
        trust_env=False,
    )
    assert paid.status_code == 200, paid.text
    return session
