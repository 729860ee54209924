"""Where what stands in a shelf's file (see `shelf`)."""

from struct import Struct
from typing import Final

from entitlements.snapshot.names import LONGEST_NAME

MAGIC: Final = int.from_bytes(b"shelf\0\0\2", "little")
HEAD: Final = 4096
MAGIC_AT, SLOTS_AT, FEATURES_AT = 0, 1, 2
SECRET: Final = slice(64, 80)
NAMES: Final = 1024
NAME: Final = LONGEST_NAME + 1
SLOT: Final = 16
PROBES: Final = 512
"""Slots looked at for one account, at most; so many are added behind the last, and no look goes round."""
LENGTH: Final = 16
MOST: Final = (1 << LENGTH) - 1
KEY: Final = Struct("<QI")
CHECK: Final = Struct("<I")
WHOLE: Final = 0x2144DF1C
"""What CRC-32 is of any bytes that their own CRC-32 follows, whatever it began with: here, with the account's check."""
