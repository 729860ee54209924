"""Which features there are, and which of them are free for ever (R8, R9). The list is data, given by the catalogue."""

import msgspec

from billing.kernel.errors import NotFound


class UnknownFeature(NotFound):
    """Nobody sells or gives a feature of that name; it is refused by name, never quietly (R8)."""

    code = "unknown_feature"

    def __init__(self, feature: str) -> None:
        super().__init__("There is no feature of this name.", feature=feature)


class FeatureList(msgspec.Struct, frozen=True):
    """The features of the running catalogue: `basic` are always allowed, `add_ons` need a grant in the mobile app."""

    basic: frozenset[str]
    add_ons: frozenset[str]

    def __post_init__(self) -> None:
        if both := self.basic & self.add_ons:
            raise ValueError(f"both basic and add-on: {', '.join(sorted(both))}")

    def is_basic(self, feature: str) -> bool:
        """Whether `feature` is basic rather than an add-on. Raises UnknownFeature."""
        if feature in self.basic:
            return True
        if feature in self.add_ons:
            return False
        raise UnknownFeature(feature)
