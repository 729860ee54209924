"""A whole house for the books: see :mod:`tests.services.conftest`."""

from tests.services.conftest import house, houses

__all__ = ["house", "houses"]
