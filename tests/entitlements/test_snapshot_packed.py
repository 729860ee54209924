"""Facts as bytes, and bytes by account in a mapped file: told again exactly, or not at all (I05, I07, F20)."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.ids import new_id, public
from entitlements.facts import AccountFacts, Grant, PupilFacts
from entitlements.snapshot.keeper import Full, Keeper
from entitlements.snapshot.names import MOST_FEATURES, Names, Torn, Unfit
from entitlements.snapshot.packed import pack, unpack
from entitlements.snapshot.shelf import Shelf
from tests.entitlements.strategies import ACCOUNTS

AT = datetime(2026, 9, 1, 8, tzinfo=UTC)
ADD_ONS = frozenset({"desk_view", "homework", "messages", "push_notifications"})


def grant(features: frozenset[str] = ADD_ONS, origin: str = "trl_1", source: str = "trial") -> Grant:
    return msgspec.convert(
        {"source": source, "origin": origin, "features": features, "since": AT, "until": AT + timedelta(90)}, Grant
    )


def plain(number: int, at: datetime = AT) -> AccountFacts:
    """An account with one pupil that has one trial."""
    trial = grant(origin=public("trl", new_id(at)))
    return AccountFacts(f"account-{number}", (PupilFacts(str(uuid4()), (trial,)),))


@given(ACCOUNTS)
def test_facts_that_were_packed_are_told_again_exactly_to_the_microsecond(facts: AccountFacts):
    names = Names()
    packed = pack(facts, names)
    assert unpack(facts.account, packed, Names(names.known)) == facts


@given(ACCOUNTS, st.data())
def test_bytes_that_are_no_facts_are_refused_or_read_as_some_and_never_break_anything(
    facts: AccountFacts, data: st.DataObject
):
    names = Names()
    packed = bytearray(pack(facts, names))
    for _ in range(data.draw(st.integers(1, 5))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packed)))
    for garbled in (bytes(packed), bytes(packed[:cut]), bytes(packed) + b"x"):
        try:
            assert isinstance(unpack("a", garbled, names), AccountFacts)
        except Torn:
            continue


@pytest.mark.parametrize(
    "facts",
    [
        AccountFacts("a", tuple(PupilFacts(f"p{number}") for number in range(256))),
        AccountFacts("a", (PupilFacts("p", (grant(),) * 256),)),
        AccountFacts("a", (PupilFacts("p", (grant(origin="x" * 256),)),)),
        AccountFacts("a", (PupilFacts("p" * 256),)),
        AccountFacts("a", (PupilFacts("p", (grant(frozenset(map(str, range(MOST_FEATURES + 1)))),)),)),
        AccountFacts("a", (PupilFacts("p", (grant(frozenset({"f" * 64})),)),)),
        AccountFacts("a", (PupilFacts("p", blocks={"": AT}),)),
    ],
    ids=["pupils", "grants", "origin", "reference", "features", "long name", "no name"],
)
def test_what_does_not_fit_is_left_to_the_database(facts: AccountFacts, shelves: "Shelves"):
    with pytest.raises(Unfit):
        pack(facts, Names())
    keeper = shelves.make(10)
    keeper.put(plain(1))
    keeper.put(AccountFacts("a"))
    keeper.put(facts)
    assert Shelf(keeper.path).find("a") is None
    assert Shelf(keeper.path).find("account-1") is not None


class Shelves:
    """Makes shelves in a folder, and closes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Keeper] = []

    def make(self, accounts: int, size: int = 1 << 20, like: Keeper | None = None) -> Keeper:
        self.made.append(Keeper(self.folder / f"shelf.{len(self.made)}", accounts, size, like))
        return self.made[-1]


@pytest.fixture
def shelves(tmp_path: Path) -> Iterator[Shelves]:
    made = Shelves(tmp_path)
    yield made
    for keeper in made.made:
        keeper.close()


def test_an_account_with_one_pupil_and_one_trial_takes_at_most_a_hundred_bytes(shelves: Shelves):
    keeper = shelves.make(20_000)
    for number in range(20_000):
        keeper.put(plain(number))
    assert (keeper.size + keeper.places * 16) / 20_000 <= 100


def test_readers_see_each_change_at_once_also_of_features_they_never_met(shelves: Shelves):
    keeper = shelves.make(10)
    reader = Shelf(keeper.path)
    assert reader.find("a") is None
    for feature in ("messages", "homework", "new_one"):
        facts = AccountFacts("a", (PupilFacts("p", (grant(frozenset({feature})),)),))
        keeper.put(facts)
        assert reader.find("a") == facts
    keeper.drop("a")
    keeper.drop("never there")
    assert reader.find("a") is None
    reader.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_shelf_knows_what_a_dictionary_knows_through_changes_and_copies_to_larger_ones(seed: int, shelves: Shelves):
    dice = random.Random(seed)
    known: dict[str, AccountFacts] = {}
    keeper, larger, copied = shelves.make(20, size=1 << 13), None, 0
    for _ in range(3_000):
        name = f"a{dice.randrange(3_000)}"
        facts = AccountFacts(name, tuple(PupilFacts(f"p{dice.random()}") for _ in range(dice.randrange(4))))
        is_dropped = dice.random() < 0.2
        if is_dropped:
            known.pop(name, None)
        else:
            known[name] = facts
        if larger is None and keeper.is_tight(1 << 21):
            larger, copied = shelves.make(keeper.used, keeper.size * 2, keeper), 0
        for shelf in (keeper, larger):
            if shelf is not None:
                shelf.drop(name) if is_dropped else shelf.put(facts)
        if larger is not None:
            larger.copy(keeper, copied, copied + 300)
            copied += 300
            if copied >= keeper.places:
                keeper, larger = larger, None
    reader = Shelf(keeper.path)
    told = {name: reader.find(name) for name in (f"a{number}" for number in range(3_000))}
    assert {name: facts for name, facts in told.items() if facts} == known
    assert len(shelves.made) > 1
    reader.close()


def test_a_full_shelf_says_so_and_loses_nothing(shelves: Shelves):
    keeper = shelves.make(1, size=1)

    def fill() -> None:
        for number in range(100_000):
            keeper.put(plain(number))

    with pytest.raises(Full):
        fill()
    reader = Shelf(keeper.path)
    assert keeper.used > 100
    assert all(reader.find(f"account-{number}") for number in range(keeper.used))
    reader.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_garbled_shelf_is_not_believed_and_breaks_nothing(seed: int, shelves: Shelves):
    dice = random.Random(seed)
    keeper = shelves.make(300)
    truth = {(facts := plain(number)).account: facts for number in range(300)}
    for facts in truth.values():
        keeper.put(facts)
    data = bytearray(keeper.path.read_bytes()[: 4096 + keeper.places * 16 + keeper.size])
    for _ in range(2_000):
        data[dice.randrange(4096, len(data))] = dice.randrange(256)
    with keeper.path.open("r+b") as file:
        file.write(data)
    reader = Shelf(keeper.path)
    told = [reader.find(account) for account in truth]
    assert all(facts in (None, truth[account]) for account, facts in zip(truth, told, strict=True))
    assert None in told
    reader.close()


def test_a_file_that_is_no_shelf_is_refused(tmp_path: Path):
    (tmp_path / "other").write_bytes(bytes(10_000))
    (tmp_path / "short").write_bytes(bytes(10))
    for name in ("other", "short"):
        with pytest.raises(Torn):
            Shelf(tmp_path / name)


def version(account: str, number: int) -> AccountFacts:
    """Facts in which everything depends on one number."""
    made = grant(frozenset({f"f{number % 7}"}), f"origin {number}" * (number % 3 + 1))
    made = msgspec.structs.replace(made, since=AT + timedelta(microseconds=number), until=None)
    return AccountFacts(account, (PupilFacts(f"p{number}", (made,) * (number % 5), notice_pending=number % 2 == 1),))


READER = """
    import sys
    from pathlib import Path
    from entitlements.snapshot.shelf import Shelf
    from tests.entitlements.test_snapshot_packed import version
    shelf, seen = Shelf(Path(sys.argv[1])), set()
    print("ready", flush=True)
    while len(seen) < 300:
        for account in ("a0", "a1", "a2"):
            facts = shelf.find(account)
            if facts is None:
                sys.exit("nothing was there")
            number = int(facts.pupils[0].pupil[1:])
            if facts != version(account, number):
                sys.exit(f"torn: {facts}")
            seen.add(number)
"""


def test_no_reader_in_another_process_ever_sees_half_a_change(shelves: Shelves):
    keeper = shelves.make(10, size=1 << 26)
    for account in ("a0", "a1", "a2"):
        keeper.put(version(account, 0))
    command = [sys.executable, "-c", dedent(READER), str(keeper.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
        try:
            for number in count(1):
                keeper.put(version(f"a{number % 3}", number))
                if number % 100 == 0 and one.poll() is not None:
                    break
        except Full:
            one.kill()  # it has seen too little of all that
        _, faults = one.communicate(timeout=60)
    assert (one.returncode, faults) == (0, "")


def environment() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": str(root)}
