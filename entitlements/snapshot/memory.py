"""Memory of the machine, taken before it is written to: there, a machine that has none left can still say so."""

import os


def reserve(file: int, start: int, size: int) -> None:
    """Take memory, or room on a disk, for these bytes of a file that were never written. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, start, size)
    else:
        os.pwrite(file, bytes(size), start)
