"""What an answer costs: closed loops in turn, the floor and all contenders in each round; then fixed rates."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from tests.benchmarks.contenders import (
    ALONE,
    HOT,
    OPEN,
    ORM,
    PEER_NAME,
    SMALL,
    TYPED,
    UNDISTURBED,
    WHOLE,
    Contender,
    Where,
    asking,
    of_name,
)
from tests.benchmarks.load import Closed, Open, closed_loop, open_loop
from tests.benchmarks.place import Place, Row, Server, cpu_seconds, used

_began = time.monotonic()
RATES = (300, 1000, 3000)
_RATE_GOALS = {(HOT, RATES[-1]): "0.67", (WHOLE, RATES[-2]): "≤ 20 ms p99"}
_VERSUS = (
    (HOT, ORM, "15"),
    (HOT, PEER_NAME, "25"),
    (TYPED, ORM, ""),
    (TYPED, PEER_NAME, ""),
    (HOT, UNDISTURBED, ""),
    (TYPED, UNDISTURBED, ""),
    (ALONE, SMALL, "0.9"),
)


class Window(msgspec.Struct, frozen=True):
    """One contender in one round: µs of the server and of the database for each request, requests a second."""

    app: float
    database: float
    rate: float


def measure(place: Place, servers: dict[Where, Server], wanted: Sequence[Contender]) -> dict[str, list[Window]]:
    """Every contender once a round, after a round that warms them up and is not counted."""
    found: dict[str, list[Window]] = {contender.name: [] for contender in wanted}
    for number in range(place.rounds + 1):
        seconds = place.seconds if number else min(place.seconds, 1.0)
        for contender in wanted:
            window = _window(place, servers[contender.where], contender, seconds)
            if number:
                found[contender.name].append(window)
        say(f"round {number} of {place.rounds}")
    return found


def _window(place: Place, server: Server, contender: Contender, seconds: float) -> Window:
    ask = asking(contender, place.keys)
    accounts = min(place.accounts, contender.accounts or place.accounts)
    app, stores = cpu_seconds(server.pid), cpu_seconds(place.postgres.pid)
    done: Closed = closed_loop(server.port, ask, accounts, seconds, contender.connections)
    app_used, stores_used = used(app, cpu_seconds(server.pid)), used(stores, cpu_seconds(place.postgres.pid))
    each = 1e6 / max(1, done.requests)
    return Window(app_used * each, stores_used * each, done.requests / done.seconds)


def rows(found: dict[str, list[Window]], wanted: Sequence[Contender]) -> list[Row]:
    """Each against its floor of the same round: the median of the rounds' ratios, with the least and the most."""
    told: list[Row] = []
    for contender in wanted:
        ratios = _ratios(found[contender.floor], found[contender.name])
        windows = found[contender.name]
        told.append(
            Row(
                contender.name,
                statistics.median(ratios),
                {
                    "least–most": f"{min(ratios):.2f}–{max(ratios):.2f}",
                    "server µs": f"{statistics.median(w.app for w in windows):.0f}",
                    "database µs": f"{statistics.median(w.database for w in windows):.0f}",
                    "req/s": f"{statistics.median(w.rate for w in windows):,.0f}",
                },
                contender.goal,
            )
        )
    return told


def versus(found: dict[str, list[Window]]) -> list[Row]:
    """Pairs of contenders: how many times less of the server's processor the first uses."""
    return [
        Row(
            f"{ours} : {theirs}",
            statistics.median(ratios),
            {
                "least–most": f"{min(ratios):.2f}–{max(ratios):.2f}",
                "with the databases": f"{statistics.median(_ratios(found[theirs], found[ours], _all)):.2f}",
            },
            goal,
        )
        for ours, theirs, goal in _VERSUS
        if found.get(ours) and found.get(theirs)
        for ratios in [_ratios(found[theirs], found[ours])]
    ]


def _app(window: Window) -> float:
    return window.app


def _all(window: Window) -> float:
    return window.app + window.database


def _ratios(base: list[Window], other: list[Window], cost: Callable[[Window], float] = _app) -> list[float]:
    return [cost(one) / cost(two) for one, two in zip(base, other, strict=True)]


def at_rates(place: Place, servers: dict[Where, Server], rates: Sequence[int], seconds: float) -> list[Row]:
    """Latency at fixed rates, in turn; the ratio is the floor's p99 to one's own at the same rate of the same round."""
    found: dict[tuple[str, int], list[Open]] = {}
    for number in range(place.rounds):
        for rate in rates:
            for name in OPEN:
                ask = asking(of_name(name), place.keys)
                port = servers[of_name(name).where].port
                found.setdefault((name, rate), []).append(open_loop(port, ask, place.accounts, rate, seconds))
                time.sleep(0.2)
        say(f"fixed rates, round {number + 1} of {place.rounds}")
    p99 = {key: [one.at(0.99) for one in windows] for key, windows in found.items()}
    told: list[Row] = []
    for (name, rate), windows in found.items():
        own = p99[name, rate]
        ratios = [floor / mine for floor, mine in zip(p99[OPEN[0], rate], own, strict=True)]
        figures = {
            "least–most": f"{min(ratios):.2f}–{max(ratios):.2f}",
            "p50 ms": f"{statistics.median(one.at(0.5) for one in windows):.2f}",
            "p99 ms": f"{statistics.median(own):.2f}",
            "most ms": f"{max(one.millis[-1] for one in windows):.1f}",
        }
        goal = _RATE_GOALS.get((name, rate), "")
        told.append(Row(f"{name}, {rate:,}/s", statistics.median(ratios), figures, goal))
    return told


def say(words: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"{time.monotonic() - _began:5.0f} s  {words}\n")
