"""Generated histories on real PostgreSQL: events doubled, shuffled, delayed and lost; clicks, tabs, two parents, banks
that wait, withdrawals, refunds by staff and by hand at Stripe, disputes, blocks, erasures, moves of the clock; eight
tasks at a time.

After each block all invariants are asked (`billing/invariants`), the reducer judges every family, and Stripe's own
books are laid beside the ledger. A failure names its history, cut short, and how to live it again.
"""

import gc
from itertools import count

import pytest

from billing.sandbox.postgres import EmbeddedPostgres
from tests.histories.comparing import complaints
from tests.histories.deeds import act
from tests.histories.stories import Story, story
from tests.histories.village import village

HISTORIES = 20_000
"""So many in a run, unless `--histories` says otherwise: each costs some 80 ms of processor time (80 statements in 13
transactions; a quarter of it is PostgreSQL's). `.ci/run` lives through the first 2,000, `make soak` through 100,000."""

BLOCK = 250
FIRST = 30
PARTS = 8
_FILE = "tests/histories/test_generated.py"
_names = count()


async def lived(
    postgres: EmbeddedPostgres, stories: list[Story], seed: int, block: int, name: str = ""
) -> list[tuple[int, str]]:
    """What is wrong after these stories, lived together in a database of their own."""
    gc.collect()
    gc.disable()  # a block is short, and what it leaves behind is collected after it
    try:
        async with village(postgres, name or f"village_{next(_names)}", stories, seed, block) as made:
            await made.live(act)
            return await complaints(made)
    finally:
        gc.enable()


async def told(postgres: EmbeddedPostgres, wrong: list[tuple[int, str]], seed: int, block: int) -> str:
    """A failure, for people: which history, cut as short as it still fails, and how to live it again."""
    lines = [f"seed {seed}, block {block}: {len(wrong)} complaints"]
    for number in sorted({number for number, _ in wrong})[:3]:
        lines += [f"history {number}:", *(f"  {words}" for found, words in wrong if found == number)][:12]
        if number < 0:
            continue
        short = await _shortened(postgres, story(seed, number), seed)
        if short is None:
            lines.append(
                f"  alone it is fine; with its neighbours: pytest {_FILE} --seed {seed} -k part{block % PARTS}]"
            )
        else:
            lines += [f"  again: pytest {_FILE} --seed {seed} --history {number}", short.told()]
    return "\n".join(lines)


async def _shortened(postgres: EmbeddedPostgres, whole: Story, seed: int) -> Story | None:
    """The story with every step left out that it fails without; None when alone it does not fail."""
    if not await lived(postgres, [whole], seed, whole.number // BLOCK):
        return None
    place = 0
    while place < len(whole.steps):
        shorter = whole.without(place)
        if await lived(postgres, [shorter], seed, whole.number // BLOCK):
            whole = shorter
        else:
            place += 1
    return whole


async def through(postgres: EmbeddedPostgres, seed: int, many: int, part: int) -> None:
    for block in range(part, -(-many // BLOCK), PARTS):
        numbers = range(block * BLOCK, min(many, (block + 1) * BLOCK))
        wrong = await lived(postgres, [story(seed, number) for number in numbers], seed, block)
        assert not wrong, await told(postgres, wrong, seed, block)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"part{part}")
async def test_i01_to_i17_hold_after_every_generated_history(
    postgres: EmbeddedPostgres, request: pytest.FixtureRequest, part: int
) -> None:
    options = request.config.option
    if options.history is not None:
        pytest.skip("one history was asked for")
    await through(postgres, options.seed, options.histories or HISTORIES, part)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("quiet")
async def test_i01_to_i17_hold_after_the_first_histories_or_the_one_asked_for(
    postgres: EmbeddedPostgres, request: pytest.FixtureRequest
) -> None:
    options = request.config.option
    asked = options.histories or FIRST
    many = asked if asked <= BLOCK else FIRST  # more of them are what the parts live through
    seed, number = options.seed, options.history
    numbers = range(many) if number is None else [number]
    wrong = await lived(postgres, [story(seed, each) for each in numbers], seed, numbers[0] // BLOCK)
    assert not wrong, await told(postgres, wrong, seed, numbers[0] // BLOCK)
