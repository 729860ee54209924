"""Which letters go to very many at once, and which somebody waits for."""

from typing import Final

TRIAL_ENDING: Final = "trial_ending"
SEASON_ENDING: Final = "season_ending"
CROWDED: Final = (SEASON_ENDING, TRIAL_ENDING)
"""In the day, and in the pace of the domain (R27)."""
AWAITED: Final = f"kind not in {CROWDED}"
"""All others, as the database says it: a tuple of plain words is written alike in Python and in SQL."""
