"""Journeys share one running sandbox; see :mod:`tests.living`."""

from tests.living import hand, sandbox

__all__ = ["hand", "sandbox"]
