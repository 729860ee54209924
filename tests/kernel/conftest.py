"""What tests of one broker are about, so that none counts another's."""

from uuid import uuid4

import pytest


@pytest.fixture
def subject() -> str:
    """Somebody nobody else counts for."""
    return f"key_{uuid4().hex}"
