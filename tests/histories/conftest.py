"""What a generated history needs: the loop that production runs on, silence in the logs, and numbers from the command.

`pytest tests/histories --seed N --history K` lives through one history again; `--histories N` through so many.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.services.conftest import house, houses

__all__ = ("house", "houses")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("histories")
    group.addoption("--seed", type=int, default=1, help="the seed of the generated histories")
    group.addoption("--histories", type=int, default=None, help="how many histories are generated")
    group.addoption(
        "--history", type=int, default=None, help="live through this one alone, and cut it short if it fails"
    )


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """As the web server has it."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def quiet() -> Iterator[None]:
    """What is logged of broken lines and late banks is meant; writing it would cost as much as the history."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False,
    )  # fmt: skip
    yield
    structlog.configure(**before)
