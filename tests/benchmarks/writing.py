"""A process that writes: pupils' notices flipped one commit each, bare or with the change log, at a rate or flat out.

`python -m tests.benchmarks.writing HOST ACCOUNTS SECONDS RATE bare|logged` prints how many commits a second it made.
RATE 0 is flat out. Logged: the statement is what the product's own becomes, and followers are woken as it wakes them.
"""

import asyncio
import random
import sys
import time

import asyncpg

from billing.sandbox.postgres import SUPERUSER
from entitlements.waking import CHANNEL, PAUSE

WRITERS = 8
_BARE = "update entitlement_link set notice_pending = not notice_pending where account = $1 and pupil = $2"
_LOGGED = f"""with done as ({_BARE} returning account, pupil),
log as (insert into entitlement_change (account, pupil, cause) select account, pupil, 'notice_changed' from done)
select * from done"""


async def write(host: str, accounts: int, seconds: float, rate: float, *, logged: bool) -> float:
    """Commits a second."""
    links = [await asyncpg.connect(user=SUPERUSER, database="bench", host=host) for _ in range(WRITERS + 1)]
    started = time.perf_counter()
    deadline = started + seconds
    done = 0

    async def one(link: asyncpg.Connection) -> None:
        nonlocal done
        statement = await link.prepare(_LOGGED if logged else _BARE)
        while (now := time.perf_counter()) < deadline:
            if rate and (ahead := started + done / rate - now) > 0:
                await asyncio.sleep(ahead)
            done += 1
            number = random.randrange(accounts)
            await statement.fetch(f"a-{number}", f"p-{number}")

    async def waken(link: asyncpg.Connection) -> None:
        while time.perf_counter() < deadline:
            await link.execute(f"select pg_notify('{CHANNEL}', '')")
            await asyncio.sleep(PAUSE)

    try:
        await asyncio.gather(*(one(link) for link in links[1:]), *([waken(links[0])] if logged else []))
        return done / (time.perf_counter() - started)
    finally:
        for link in links:
            await link.close()


if __name__ == "__main__":
    where, accounts, seconds, rate, how = sys.argv[1:]
    made = asyncio.run(write(where, int(accounts), float(seconds), float(rate), logged=how == "logged"))
    sys.stdout.write(f"{made:.1f}\n")
