"""One of many, in one parameter or one array of a statement."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, Text, Uuid, any_, func, literal
from sqlalchemy.dialects.postgresql import ARRAY


def among(column: SQLColumnExpression[Any], names: Collection[str]) -> ColumnElement[bool]:
    """Whether the column is one of the names: a season's payments are more than a statement may have parameters."""
    return column == any_(literal(sorted(set(names)), ARRAY(Text)))


def among_found(key: SQLColumnExpression[UUID], found: Select[UUID]) -> ColumnElement[bool]:
    """Whether the key is one of those that the query finds: they are looked up by their index, one after the other."""
    return key == any_(func.array(found.scalar_subquery(), type_=ARRAY(Uuid())))
