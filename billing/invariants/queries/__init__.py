"""All queries, in the order of their numbers."""

from typing import Final

from billing.invariants.queries.messages import MESSAGES
from billing.invariants.queries.money import MONEY
from billing.invariants.queries.moves import MOVES
from billing.invariants.queries.rights import RIGHTS
from billing.invariants.rules import Query

QUERIES: Final[tuple[Query, ...]] = tuple(sorted((*RIGHTS, *MONEY, *MOVES, *MESSAGES), key=lambda query: query.number))
