"""Real processes that are really killed; see :mod:`tests.living`."""

from tests.living import hand, sandbox

__all__ = ["hand", "sandbox"]
