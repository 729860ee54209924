"""What a generated history needs: the loop that production runs on, silence in the logs."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.services.conftest import house, houses

__all__ = ("house", "houses")


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
