"""The list of features, read from the catalogue's file by a process that answers questions and sells nothing.

What is sold, and at what price, is no business of its; so it reads those lines alone, and knows no room of billing.
"""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import msgspec

from billing.kernel.ids import Ref
from billing.kernel.settings import BadSettings
from entitlements.features import FeatureList

SHIPPED: Final = files("billing") / "catalog" / "catalog.toml"


class _Feature(msgspec.Struct, frozen=True):
    """What a catalogue says of one feature, as far as it matters to an answer."""

    key: Ref
    kind: Literal["basic", "add_on"]


class _File(msgspec.Struct, frozen=True):
    features: tuple[_Feature, ...]


def read_features(catalogue: str) -> FeatureList:
    """The features that a catalogue's file names, or the shipped one's where no file is named. The rest of the file is
    judged by those who sell. Raises BadSettings."""
    source = Path(catalogue) if catalogue else SHIPPED
    try:
        named = msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), _File).features
    except (OSError, UnicodeDecodeError) as fault:
        raise BadSettings([f"{source} cannot be read: {type(fault).__name__}"]) from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise BadSettings([f"{source} is no catalogue: {fault}"]) from None
    if len({feature.key for feature in named}) < len(named):
        raise BadSettings([f"{source} names a feature twice"])
    basic, add_ons = (frozenset(each.key for each in named if each.kind == kind) for kind in ("basic", "add_on"))
    return FeatureList(basic=basic, add_ons=add_ons)
