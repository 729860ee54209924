"""Which letters go to very many at once, and which somebody waits for."""

from typing import Final

CROWDED: Final = ("season_ending", "trial_ending")
"""In the day, and in the pace of the domain (R27)."""
AWAITED: Final = "kind not in ('season_ending', 'trial_ending')"
"""All others, as the database says it."""
