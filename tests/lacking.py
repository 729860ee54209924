"""What a machine may lack: where it does, the tests that need it are left out, but never where `CI` is set."""

import os

import pytest


def left_out_unless(here: bool, reason: str) -> pytest.MarkDecorator:
    """The mark of a test that needs what may not be here."""
    return pytest.mark.skipif(not here and not os.environ.get("CI"), reason=reason)
