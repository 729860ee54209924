"""A whole house for invoices: see :mod:`tests.services.conftest`."""

from pathlib import Path

import pytest

from tests.services.conftest import house, houses

__all__ = ["house", "houses"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The library hands httpx its body in a way that httpx calls old."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"))
