"""A whole house for invoices: see :mod:`tests.services.conftest`."""

from tests.services.conftest import house, houses

__all__ = ["house", "houses"]
