"""The benchmark: ratios in one interleaved run, against the floor; never a timed test."""
