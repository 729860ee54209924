"""Free trials: one per pupil and season, and nobody falls back without having been told in time."""
