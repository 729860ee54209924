"""A house for each test, as the services' tests have it; and what was found, in short."""

from tests.services.conftest import house, houses

__all__ = ["house", "houses"]
