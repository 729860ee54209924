"""What a query is, and which promises no query can put to a database. Pure."""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec


class Query(msgspec.Struct, frozen=True):
    """One thing that must never be so. `number` is the promise it belongs to; `means` says what a row of it tells.

    `sql` may use `:at`, now, and `:settled`, the instant by which everything older must have come to its end.
    """

    number: str
    title: str
    means: str
    sql: str

    def bounded(self, most: int) -> str:
        """The query, with so many rows at most."""
        return f"select * from ({self.sql}) found limit {most}"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one query found: its rows, as many as are shown, and whether there are more."""

    number: str
    title: str
    means: str
    rows: tuple[dict[str, Any], ...] = ()
    has_more: bool = False


NOT_ASKED: Final[Mapping[str, str]] = {
    "I01": "A property of all orders of arrival: tests deliver them.",
    "I02": "Whether Stripe knows more than we do: the reconciliation asks Stripe.",
    "I06": "Of the answers, not of the rows: tests ask the front desk.",
    "I07": "Of a process whose database is gone.",
    "I08": "Of answers that were given away.",
    "I21": "Of the answer to a webhook: tests kill the process around it.",
    "I23": "Of days on which nothing was written.",
    "I25": "A property of all interleavings: tests race.",
    "I26": "Of answers to strangers.",
    "I27": "Of what a link does not do.",
    "I28": "Of logs and addresses, not of rows.",
    "I29": "Of what was refused, so left no row.",
}
"""Promises that are shown otherwise, and how."""


def named(prefix: str, column: str) -> str:
    """SQL for the public id of a key: the prefix and the key in Crockford's base32, as `kernel/ids.py` writes it."""
    bits = f"(b'00' || ('x' || replace({column}::text, '-', ''))::bit(128))"
    letter = f"substr('0123456789abcdefghjkmnpqrstvwxyz', substring({bits} from 1 + 5 * place for 5)::int + 1, 1)"
    return f"'{prefix}_' || (select string_agg({letter}, '' order by place) from generate_series(0, 25) place)"


def with_names(prefix: str, table: str) -> str:
    """SQL for a table with the public id of each row as `name`."""
    return f"(select *, {named(prefix, 'id')} as name from {table})"


def listed(words: Collection[str]) -> str:
    """SQL for a list of words of ours."""
    return ", ".join(f"'{word}'" for word in sorted(words))


def edges(moves: Collection[tuple[str, str]]) -> str:
    """SQL for a table of moves."""
    return ", ".join(f"('{before}', '{after}')" for before, after in sorted(moves))
