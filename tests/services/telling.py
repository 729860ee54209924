"""Families that live through their free period at random, and a small model that says who may have fallen back.

The model does not ask what letters the product believes it has sent: it reads the mailbox, remembers who was linked to
whom and who paid, and asks the front desk.
"""

import random
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from billing.kernel.errors import BillingError
from billing.kernel.tokens import token_hash
from billing.sandbox.mailbox import Letter, Mode
from tests.services.house import House, token_in

WARSAW = ZoneInfo("Europe/Warsaw")
NOTICE = timedelta(days=7)
_MONTHS = [
    "stycznia",
    "lutego",
    "marca",
    "kwietnia",
    "maja",
    "czerwca",
    "lipca",
    "sierpnia",
    "września",
    "października",
    "listopada",
    "grudnia",
]
_SUBJECT = re.compile(r"^Od (\d+)\s(\w+)\s(\d{4})\sr\. powróci wersja podstawowa")
_FAULTS: tuple[Mode, ...] = ("normal", "normal", "refuse", "bounce", "tempfail", "tempfail", "close_after_data")

QUIET = {"webhooks.catch_up"}
"""Looking at Stripe once a day belongs to another story, and costs a call a day."""

Told = tuple[datetime, date]


def day_named(letter: Letter) -> date | None:
    """The day on which the basic version returns, as the letter says it; None for another letter."""
    found = _SUBJECT.match(letter.subject)
    return None if found is None else date(int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1]))


def midnight(on: date) -> datetime:
    return datetime(on.year, on.month, on.day, tzinfo=WARSAW)


def last_moment_to_tell(day: date) -> datetime:
    """Whoever is told before this instant is told N days before D."""
    return midnight(day - NOTICE)


@dataclass
class Family:
    """One history: three people, three pupils, and what the model remembers of them."""

    name: str
    linked_since: dict[tuple[str, str], datetime] = field(default_factory=dict[tuple[str, str], datetime])
    paid: set[str] = field(default_factory=set[str])
    erased: set[str] = field(default_factory=set[str])
    told: dict[tuple[str, str], list[Told]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], list[Told]](list)
    )
    story: list[str] = field(default_factory=list[str])

    @property
    def people(self) -> list[str]:
        return [person for who in ("anna", "jan", "ewa") if (person := f"{self.name}-{who}") not in self.erased]

    @property
    def pupils(self) -> list[str]:
        return [f"{self.name}-p{number}" for number in range(3)]


class Village:
    """Families in one house, on one clock; every step is drawn from the seed and checked when it is over."""

    def __init__(self, house: House, seed: int, families: int) -> None:
        self.house = house
        self.chance = random.Random(seed)
        self.families = [Family(f"f{seed}x{number}") for number in range(families)]
        self._letters_seen = 0
        self._copies: dict[str, int] = {}
        self._sent: dict[tuple[str, date], str] = {}

    async def found(self) -> None:
        """Everybody registers."""
        for family in self.families:
            for person in family.people:
                await self.house.register(person)

    async def step(self) -> None:
        """Some families do something, the mail server changes its mind, time passes."""
        for family in self.families:
            if self.chance.random() < 0.5:
                await self._act(family)
        if self.chance.random() < 0.5:
            who = self.chance.choice(["anna", "jan", "", self.chance.choice(self.families).name])
            mode = self.chance.choice(_FAULTS)
            self.house.misbehave(mode, who or None)
            self._tell(self.families, f"mail {mode} {who}")
        await self._pass_time()
        await self.check()

    async def _pass_time(self) -> None:
        hours = self.chance.choice([0, 1, 5, 11, 24, 24, 48, 72, 120])
        to = self.house.now + timedelta(hours=hours, minutes=self.chance.choice([0, 0, 17, 55]))
        nobody_sends = self.chance.random() < 0.3
        await self.house.advance(to, without=QUIET | {"letters.send"} if nobody_sends else QUIET)
        self._tell(self.families, f"it is {self.house.now.astimezone(WARSAW):%m-%d %H:%M}")

    async def _act(self, family: Family) -> None:
        if not family.people:
            return
        person, pupil = self.chance.choice(family.people), self.chance.choice(family.pupils)
        pair = (person, pupil)
        acts = [self._link, self._link, self._link, self._unlink, self._pay, self._show, self._erase]
        weights = [6, 6, 6, 3, 2, 4, 1]
        (act,) = self.chance.choices(acts, weights)
        family.story.append(f"{act.__name__[1:]} {person} {pupil}")
        await act(family, pair)

    async def _link(self, family: Family, pair: tuple[str, str]) -> None:
        await self.house.link(*pair)
        family.linked_since.setdefault(pair, self.house.now)

    async def _unlink(self, family: Family, pair: tuple[str, str]) -> None:
        if family.linked_since.pop(pair, None) is not None:
            await self.house.unlink(*pair)

    async def _pay(self, family: Family, pair: tuple[str, str]) -> None:
        if pair not in family.linked_since:
            return
        try:
            url = await self.house.click(await self.house.token(*pair))
        except BillingError:
            assert pair[1] in family.paid
            return
        await self.house.pay(url)
        await self.house.settle(without={"letters.send"})
        family.paid.add(pair[1])

    async def _show(self, family: Family, pair: tuple[str, str]) -> None:
        query = "select day, pupils from letter where account = :who and kind = 'trial_ending' and state = 'bounced'"
        for row in await self.house.rows(query, who=pair[0]):
            for pupil in row.pupils:
                family.told[pair[0], pupil].append((self.house.now, row.day))
        await self.house.shown(pair[0])

    async def _erase(self, family: Family, pair: tuple[str, str]) -> None:
        await self.house.erase(pair[0])
        family.erased.add(pair[0])
        for other in [other for other in family.linked_since if other[0] == pair[0]]:
            del family.linked_since[other]

    @staticmethod
    def _tell(families: list[Family], what: str) -> None:
        for family in families:
            family.story.append(what)

    # What must hold

    async def check(self) -> None:
        """All that R20–R30 and I18–I20 say, after what this step did."""
        letters = self.house.letters()
        by_name = {family.name: family for family in self.families}
        for letter in letters[self._letters_seen :]:
            account = letter.to.removesuffix("@rodzice.example")
            await self._read(by_name[account.partition("-")[0]], account, letter)
        self._letters_seen = len(letters)
        for family in self.families:
            await self._check_rights(family)

    async def _read(self, family: Family, account: str, letter: Letter) -> None:
        day, story = day_named(letter), (family.name, *family.story)
        copies = self._copies[letter.headers["Message-ID"]] = self._copies.get(letter.headers["Message-ID"], 0) + 1
        assert copies <= 2, (account, story)
        if day is None:
            return
        at = datetime.fromisoformat(letter.sent_at)
        assert 8 <= at.astimezone(WARSAW).hour < 20, ("R27", account, at, story)
        assert at < last_moment_to_tell(day), ("R21: told too late, so not to be told at all", account, story)
        assert account not in family.erased, ("I20", account, story)
        first = self._sent.setdefault((account, day), letter.headers["Message-ID"])
        assert first == letter.headers["Message-ID"], ("I18, R24: told of one day twice", account, day, story)
        mark = token_hash(token_in(letter))
        pupils = await self.house.one("select pupils from activation_link where token_hash = :mark", mark=mark)
        assert f"dotyczy: {len(pupils)}" in (letter.text or ""), ("R24", account, story)
        for pupil in pupils:
            assert (account, pupil) in family.linked_since, ("I20: not linked", account, pupil, story)
            assert pupil not in family.paid, ("I20: paid", account, pupil, story)
            family.told[account, pupil].append((at, day))

    async def _check_rights(self, family: Family) -> None:
        query = "select reverts_on, bound_at, bound_reason from trial where pupil = :pupil"
        for (account, pupil), since in family.linked_since.items():
            story = (account, pupil, *family.story)
            answer = await self.house.answer(account, pupil)
            (trial,) = await self.house.rows(query, pupil=pupil)
            if pupil in family.paid:
                assert (answer.allowed, answer.reason) == (True, "paid"), story
                continue
            if trial.bound_reason == "told" and since < trial.bound_at:
                assert self._was_told(family, account, pupil, trial.reverts_on), ("I19, R21", trial, story)
            if not answer.allowed:
                assert answer.reason == "trial_ended", story
                assert self.house.now >= midnight(trial.reverts_on), ("R20", trial, story)
                assert trial.bound_at is not None, ("R21: nobody untold falls back", story)
                assert trial.bound_reason == "told" or since >= trial.bound_at, ("R21", trial, story)
            elif trial.bound_at is not None:
                assert self.house.now < midnight(trial.reverts_on), ("R20, R131: it ended by its date", trial, story)

    @staticmethod
    def _was_told(family: Family, account: str, pupil: str, day: date) -> bool:
        return any(named == day and at < last_moment_to_tell(day) for at, named in family.told[account, pupil])
