"""A real browser, and the shared running sandbox; see :mod:`tests.chromium` and :mod:`tests.living`."""

from tests.chromium import browser
from tests.living import hand, sandbox

__all__ = ["browser", "hand", "sandbox"]
