"""``make bench``: what an answer costs beside the floor and beside others, in one interleaved run. Ratios first.

Loopback only, ends by itself, and writes nothing but its tables (and a temporary folder, gone at the end).
"""

import argparse
import asyncio
import gc
import os
import platform
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import answering, bursts, fresh, others, profiling, standing
from tests.benchmarks.contenders import CONTENDERS, spread
from tests.benchmarks.place import Place
from tests.benchmarks.seed import PEER_PYTHON, seed, seed_peer, seed_small
from tests.benchmarks.servers import start
from tests.benchmarks.tables import Section, placed, render

SECTIONS = ("answers", "rates", "fresh", "standing", "profile", "bursts", *others.PATHS)


def main(argv: list[str] | None = None) -> str:
    """Run what is wanted, print the tables and answer them."""
    asked = _arguments(argv)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.folder) as folder:
        os.chmod(folder, 0o711)  # the database's account must get in  # noqa: PTH101
        with Place(Path(folder), accounts=asked.accounts, rounds=asked.rounds, seconds=asked.seconds) as place:
            sections = _run(place, asked.only or list(SECTIONS), has_peer=PEER_PYTHON.exists() and not asked.no_peer)
    text = render(_machine(place, time.monotonic() - began), sections)
    if asked.out is not None:
        asked.out.write_text(placed(asked.out, text), encoding="utf-8")
    sys.stdout.write(text)
    return text


def _run(place: Place, only: list[str], *, has_peer: bool) -> list[Section]:
    sections = _answers(place, only, has_peer=has_peer) if {*only} - {*others.PATHS} else []
    return [*sections, *asyncio.run(others.sections(place, only))]


def _answers(place: Place, only: list[str], *, has_peer: bool) -> list[Section]:
    _seed(place, has_peer=has_peer)
    answering.say("starting the servers …")
    wanted = [one for one in CONTENDERS if has_peer or one.where != "peer"]
    sections: list[Section] = []
    with ExitStack() as stack:
        servers = start(place, stack, {one.where for one in wanted})
        standing.await_snapshot(place, servers)
        answering.say("measuring …")
        if "answers" in only:
            found = answering.measure(place, servers, wanted)
            sections += [Section("answers", answering.rows(found, wanted)), Section("versus", answering.versus(found))]
        if "rates" in only:
            sections.append(Section("rates", answering.at_rates(place, servers, *_rates(place))))
        if "fresh" in only:
            sections.append(Section("fresh", asyncio.run(fresh.rows(place, servers["product"]))))
        if "standing" in only:
            sections.append(Section("standing", standing.rows(place, servers)))
        if "profile" in only:
            sections.append(Section("profile", profiling.rows(place)))
        if "bursts" in only:  # last: it ends rights that the others ask about
            sections.append(Section("bursts", bursts.rows(place, servers)))
    return sections


def _seed(place: Place, *, has_peer: bool) -> None:
    answering.say(f"seeding {place.accounts:,} accounts …")
    place.keys = asyncio.run(seed(place))
    asyncio.run(seed_small(place))
    spread(place.accounts)
    if has_peer:
        answering.say("seeding the peer …")
        seed_peer(place)


def _rates(place: Place) -> tuple[tuple[int, ...], float]:
    return (answering.RATES, 5.0) if place.seconds >= 1 else (answering.RATES[:1], place.seconds)


def _machine(place: Place, took: float) -> str:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {place.accounts:,} linked"
        f" pupils, {place.rounds} rounds of {place.seconds:g} s, medians; the servers on one core, client and database"
        f" on another; load average at the end {load}; {took / 60:.0f} min in all"
    )


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="What an answer costs. Ratios first.")
    parser.add_argument("--accounts", type=int, default=int(os.environ.get("BENCH_ACCOUNTS", "1000000")))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each window")
    parser.add_argument("--only", nargs="*", choices=SECTIONS)
    parser.add_argument("--no-peer", action="store_true", help="without Django and dj-stripe")
    parser.add_argument("--out", type=Path, help="write the tables there as well, between its marks")
    parser.add_argument("--folder", type=Path, help="where the databases lie meanwhile")
    return parser.parse_args(argv)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended
    gc.disable()  # the client's own pauses would be told as the servers'
    main()
