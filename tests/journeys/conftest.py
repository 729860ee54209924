"""Journeys share one running sandbox; see :mod:`tests.living`."""

import httpx2
import pytest

from tests.hand import Hand
from tests.living import hand, sandbox

__all__ = ["hand", "key", "sandbox"]


@pytest.fixture
def key(hand: Hand) -> str:
    """The API key that the sandbox tells everybody."""
    return str(httpx2.get(f"{hand.url}/sandbox/info", trust_env=False).json()["api_key"])
