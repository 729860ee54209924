"""One of many names, in one parameter of a statement."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, Text, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY


def among(column: SQLColumnExpression[Any], names: Collection[str]) -> ColumnElement[bool]:
    """Whether the column is one of the names: a season's payments are more than a statement may have parameters."""
    return column == any_(literal(sorted(set(names)), ARRAY(Text)))
