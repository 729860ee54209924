"""Harm to a running sandbox while people use it, and what must be true after it.

Whoever is harmed is a child of the sandbox, which brings it back; the stand-ins' books and the mailbox are witnesses.
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

from tests.family import PASS_PRICE, Family
from tests.hand import Hand
from tests.living import Sandbox
from tests.waiting import until

LEASE = "PT10M"
"""Longer than any lease under which a dead worker held something."""

_ALL, _FIRST, _BELOW = slice(None), slice(1), slice(1, None)
_PROCESSES = {
    "web": ("-m billing serve", _ALL),
    "worker": ("-m billing worker", _FIRST),
    "child": ("-m billing worker", _BELOW),
    "beat": ("-m billing beat", _ALL),
    "database": ("/postgres ", _FIRST),
    "backend": ("/postgres ", _BELOW),
    "broker": ("valkey-server", _ALL),
}

Harm = Callable[[Sandbox, random.Random], bool]
"""Does harm once, if there is anybody to be harmed; answers whether it was done."""


def ending(name: str, how: signal.Signals = signal.SIGKILL) -> Harm:
    """The end of one process of that name."""

    def end(sandbox: Sandbox, chance: random.Random) -> bool:
        pids = pids_of(sandbox, name)
        with contextlib.suppress(ProcessLookupError):
            if pids:
                os.kill(chance.choice(pids), how)
                return True
        return False

    return end


@contextlib.contextmanager
def harming(sandbox: Sandbox, seed: int, every: float, *harms: Harm) -> Generator[list[Harm]]:
    """Do one of the harms now and then while the block runs; which were done."""
    chance, over, done = random.Random(seed), threading.Event(), list[Harm]()

    def run() -> None:
        while not over.wait(every * chance.uniform(0.5, 1.5)):
            harm = chance.choice(harms)
            if harm(sandbox, chance):
                done.append(harm)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


def until_harmed(done: Sequence[Harm], many: int) -> None:
    """However quick the product was: the harm goes on for two seconds, and until it was done so often."""
    time.sleep(2)
    until(lambda: len(done) >= many, "there was nobody to be harmed")


def pids_of(sandbox: Sandbox, name: str) -> list[int]:
    """The processes of that name which live now; only ever children of this sandbox.

    `web` and all below it; `worker`, its main process, and `child`, one of its pool; `beat`; `database`, PostgreSQL's
    first process, and `backend`, any other of them; `broker`.
    """
    word, which = _PROCESSES[name]
    return sandbox.processes(word)[which]


def persistently(call: Callable[[], httpx2.Response], good: Sequence[int], seconds: float = 60) -> httpx2.Response:
    """As a person does: again after a broken connection or a page that says "later"."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx2.TransportError):
            answer = call()
            if answer.status_code in good:
                return answer
            assert answer.status_code in {429, 502, 503}, answer.text
        assert time.monotonic() < deadline, "no answer any more"
        time.sleep(0.2)


def failures(sandbox: Sandbox) -> list[str]:
    """What was answered by 500: a caller may be asked to come again, and is never told of a defect of ours."""
    return [line for line in sandbox.complaints() if "request_failed" in line]


def come_back(hand: Hand) -> None:
    """Everybody is brought back, every lease runs out, everything due is done."""
    persistently(lambda: hand.open("/readyz"), [200])
    persistently(hand.try_to_drain, [200])
    workers_work(hand)
    hand.advance(LEASE)
    hand.advance(LEASE)


def workers_work(hand: Hand) -> None:
    """Nobody pulls a string: a ring of the commit, or the next one of beat, brings a letter."""
    family = hand.register("samo", email_confirmed=False)
    until(lambda: bool(hand.letters(family.email)), "no worker works any more", 120)


def setting(sandbox: Sandbox, name: str) -> str:
    """What the product's processes are told in this sandbox."""
    environ = Path(f"/proc/{sandbox.processes('-m billing beat')[0]}/environ").read_bytes().split(b"\0")
    return next(line for line in environ if line.startswith(name.encode() + b"=")).decode().partition("=")[2]


def asked_of_database(sandbox: Sandbox, question: str) -> list[tuple[object, ...]]:
    """The rows that answer a question, from the sandbox's own database."""
    url = setting(sandbox, "BILLING_DATABASE_URL")

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


def each_told_once(hand: Hand, families: Sequence[Family], about: str, doubts: int | None = None) -> None:
    """One letter for each; where a kill left it in doubt, one copy more under the same Message-ID (I18)."""
    repeated = 0
    for family in families:
        ids = [letter["headers"]["Message-ID"] for letter in hand.letters(family.email, about)]
        assert len(set(ids)) == 1, (family.account, ids)
        assert len(ids) <= 2, (family.account, ids)
        repeated += len(ids) - 1
    assert repeated <= (len(families) // 4 if doubts is None else doubts), "doubt is a rare thing"


def placed_and_paid(
    hand: Hand, sandbox: Sandbox, seed: int, every: float, *harms: Harm, doubts: int | None = None
) -> None:
    """Sixteen families order and pay while harm is done; then one order, page, right and letter for each, and the books
    balance (I09, I11, I12, I21)."""
    before = failures(sandbox)
    families = [hand.family("zamowienie") for _ in range(16)]
    links = [hand.new_link(family) for family in families]
    pages = [hand.open(link).text for link in links]
    hand.drain()
    with harming(sandbox, seed, every, *harms) as done:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            clicks = [pool.submit(buy, hand, sandbox, link, page) for link, page in zip(links, pages, strict=True)]
            sessions = [click.result() for click in clicks]
        until_harmed(done, 4)
    come_back(hand)
    assert failures(sandbox) == before
    for family, session in zip(families, sessions, strict=True):
        (order,) = hand.orders(family)
        assert (order["state"], [one["amount"]["amount"] for one in order["payments"]]) == ("paid", [PASS_PRICE])
        assert len(hand.passes(family)) == 1
        assert hand.allows(family) == (True, "paid")
        assert hand.refunds(session) == []
    each_told_once(hand, families, "Potwierdzenie zawarcia umowy", doubts)
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
