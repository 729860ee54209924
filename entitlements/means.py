"""What questions are answered with in one web process: the same for every way in."""

import msgspec

from billing.kernel.clock import Clock
from billing.kernel.keys import KeyRing
from billing.kernel.limits import Limiter
from entitlements.facts import Facts
from entitlements.features import FeatureList


class Means(msgspec.Struct, frozen=True):
    """The features that there are, who knows the facts, the time, and who may ask how often."""

    features: FeatureList
    facts: Facts
    clock: Clock
    key_ring: KeyRing
    limiter: Limiter
