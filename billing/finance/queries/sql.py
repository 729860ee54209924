"""Two things that SQL has to say here in its own way: a folded text, and the key behind a public id."""

from typing import Any

from sqlalchemy import ColumnElement, Integer, SQLColumnExpression, String, and_, func, literal_column, or_, table
from sqlalchemy import column as light
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

_ACCENTED = "ĄĆĘŁŃÓŚŹŻąćęłńóśźż"
_PLAIN = "ACELNOSZZacelnoszz"

EVENT = table(
    "stripe_event",
    light("id", String),
    light("type", String),
    light("object_id", String),
    light("received_at"),
    light("state", String),
    light("tries", Integer),
    light("due_at"),
    light("note", String),
)
"""The mail room's inbox, which stands above this room, by its columns."""


def folded(text: SQLColumnExpression[Any]) -> ColumnElement[str]:
    """`filters.fold` in SQL: the database's own lower() knows no Polish letters under the C collation."""
    return func.lower(func.translate(text, _ACCENTED, _PLAIN))


def like(text: SQLColumnExpression[Any], pattern: str) -> ColumnElement[bool]:
    """Whether the folded text holds a pattern of `filters.pattern_of`.

    translate() costs ten times what lower() does, so only a text with letters beyond ASCII is translated.
    """
    is_wide = func.octet_length(text) > func.char_length(text)
    return or_(like_ref(text, pattern), and_(is_wide, folded(text).like(pattern, escape="\\")))


def like_ref(ref: SQLColumnExpression[Any], pattern: str) -> ColumnElement[bool]:
    """The same for a reference, which is ASCII."""
    return func.lower(ref).like(pattern, escape="\\")


def key_of(column: str) -> ColumnElement[Any]:
    """The UUID behind the public id in a text column named `table.column` (never a visitor's text)."""
    return literal_column(
        f"""(select (lpad(to_hex(substr(b, 3, 64)::bit(64)::bigint), 16, '0')
            || lpad(to_hex(substr(b, 67, 64)::bit(64)::bigint), 16, '0'))::uuid
        from (select string_agg(
            (strpos('0123456789abcdefghjkmnpqrstvwxyz', substr({column}, 4 + i, 1)) - 1)::bit(5)::text, '' order by i
        ) as b from generate_series(1, 26) as i) as bits)""",
        PG_UUID(),
    )
