"""What people, banks and the post do in a history: drawn from a seed, plain data, so that a story can be cut shorter.

A step that has become impossible because an earlier one is missing is passed over.
"""

from collections.abc import Callable
from random import Random

import msgspec

TICKS = 5
"""How many times the clock moves while people act; then it runs on until nothing is due."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happens at a tick. `page` is the number of the click whose page it is about."""

    tick: int
    what: str
    buyer: int = 0
    page: int = 0
    pupils: tuple[int, ...] = ()
    how: str = ""
    outcome: str = ""
    amount: int = 0


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One family's history."""

    number: int
    pupils: int
    steps: tuple[Step, ...]

    def without(self, place: int) -> "Story":
        """The same, less one step."""
        return msgspec.structs.replace(self, steps=self.steps[:place] + self.steps[place + 1 :])

    def told(self) -> str:
        """For people."""
        return "\n".join(
            f"  tick {step.tick}: {step.what} "
            + " ".join(
                f"{name}={value}" for name, value in msgspec.to_builtins(step).items() if name not in {"tick", "what"}
            )
            for step in self.steps
        )


def story(seed: int, number: int) -> Story:
    """The history of a number, always the same."""
    chance = Random(f"{seed}:{number}")
    pupils = chance.choice((1, 1, 1, 2))
    steps: list[Step] = []
    page = 0
    for buyer in range(chance.choice((1, 1, 1, 2))):
        for _ in range(chance.choice((1, 1, 1, 1, 1, 2))):
            steps += _order(chance, buyer, page, pupils)
            page += 1
    steps += _afterwards(chance, page)
    return Story(number=number, pupils=pupils, steps=tuple(sorted(steps, key=lambda step: step.tick)))


def _order(chance: Random, buyer: int, page: int, pupils: int) -> list[Step]:
    """Somebody orders, pays or not, and their bank answers or not."""
    at = chance.choice((0, 0, 0, 1, 1, 2))
    chosen = tuple(range(pupils)) if chance.random() < 0.7 else (chance.randrange(pupils),)
    steps = [Step(tick=at, what="click", buyer=buyer, page=page, pupils=chosen)]
    if chance.random() < 0.12:
        return steps
    how = chance.choice(("blik", "p24", "card"))
    pays = min(at + chance.choice((0, 0, 0, 1)), TICKS - 1)
    outcome = chance.choices(("succeeded", "pending", "declined"), (70, 20, 10))[0]
    if how == "card" and outcome == "pending":
        outcome = "succeeded"
    steps.append(Step(tick=pays, what="pay", buyer=buyer, page=page, how=how, outcome=outcome))
    if outcome == "declined" and chance.random() < 0.6:
        steps.append(Step(tick=pays, what="pay", buyer=buyer, page=page, how="card", outcome="succeeded"))
    if outcome == "pending" and chance.random() < 0.85:
        answers = min(pays + chance.choice((0, 1, 2)), TICKS - 1)
        good = "succeeded" if chance.random() < 0.7 else "failed"
        steps.append(Step(tick=answers, what="settle", buyer=buyer, page=page, outcome=good))
    return steps


def _afterwards(chance: Random, pages: int) -> list[Step]:
    """What may follow: at most two things, seldom any."""
    steps: list[Step] = []
    kinds: list[tuple[float, Callable[[int], list[Step]]]] = [
        (0.06, lambda at: [Step(tick=at, what="erase", buyer=0)]),
        (0.05, lambda at: [Step(tick=at, what="refunds", page=0, outcome=chance.choice(("failed", "pending")))]),
        (0.14, lambda at: _withdrawal(chance, at, chance.randrange(pages))),
        (0.05, lambda at: [Step(tick=at, what="by_hand", page=0, amount=chance.choice((1000, 4499)))]),
        (0.07, lambda at: _dispute(chance, at, chance.randrange(pages))),
        (0.04, lambda at: [Step(tick=at, what="block")]),
        (0.05, lambda at: [Step(tick=at, what="break", outcome=chance.choice(("timeout_before", "timeout_after")))]),
        (0.06, lambda at: [_by_staff(chance, at, chance.randrange(pages))]),
    ]
    for odds, made in kinds:
        if chance.random() < odds:
            steps += made(chance.choice((1, 2, 2, 3)))
    return steps


def _withdrawal(chance: Random, at: int, page: int) -> list[Step]:
    """Somebody withdraws; the bank may give back late, or not at all."""
    steps = [Step(tick=at, what="withdraw", page=page)]
    if chance.random() < 0.35:
        how = chance.choice(("failed", "pending"))
        steps.insert(0, Step(tick=at, what="refunds", page=page, outcome=how))
        if how == "pending":
            end = chance.choice(("succeeded", "failed"))
            steps.append(Step(tick=min(at + 1, TICKS - 1), what="refunds", page=page, outcome=end))
        if page == 0 and chance.random() < 0.3:
            steps.append(Step(tick=min(at + 2, TICKS - 1), what="erase"))
    return steps


def _by_staff(chance: Random, at: int, page: int) -> Step:
    """Somebody of the staff gives a part back, or all that one pupil costs."""
    amount, reason = chance.choice((700, 4499)), chance.choice(("goodwill", "school_block"))
    return Step(tick=at, what="staff", page=page, amount=amount, how=reason)


def _dispute(chance: Random, at: int, page: int) -> list[Step]:
    end = chance.choice(("won", "lost", ""))
    steps = [Step(tick=at, what="dispute", page=page, outcome="opened")]
    if page == 0 and chance.random() < 0.5:
        steps.append(Step(tick=min(at + 1, TICKS - 1), what="erase"))
    if end:
        steps.append(Step(tick=min(at + 1, TICKS - 1), what="dispute", page=page, outcome=end))
    return steps


class Fate(msgspec.Struct, frozen=True):
    """What the post does with an event: after how many ticks each copy comes; none: it is lost."""

    after: tuple[int, ...]


def fate(seed: int, number: int, event: str, nth: int) -> Fate:
    """The fate of the n-th event of a kind in a history, always the same."""
    chance = Random(f"{seed}:{number}:{event}:{nth}")
    copies = chance.choices((0, 1, 2, 3), (12, 58, 20, 10))[0]
    return Fate(tuple(chance.choices((0, 1, 2), (65, 25, 10))[0] for _ in range(copies)))
