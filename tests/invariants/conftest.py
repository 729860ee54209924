"""The house of the services' tests is at hand here too."""

from tests.services.conftest import house

__all__ = ("house",)
