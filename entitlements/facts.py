"""What answers are made of: the grants, blocks and links of pupils, as plain values."""

from datetime import datetime
from typing import Literal

import msgspec

from billing.kernel.errors import Fault, Invalid, NotFound

Source = Literal["trial", "paid", "sponsored", "granted", "grace"]
EndReason = Literal["withdrawn", "refunded", "disputed", "payment_failed", "sponsorship_ended"]


class UnknownAccount(NotFound):
    """The account was never told of, or is erased."""

    code = "unknown_account"

    def __init__(self, account: str) -> None:
        super().__init__("There is no account of this reference.", account=account)


class PupilRequired(Invalid):
    """A right belongs to a pupil (R1), and it is not clear to which one."""

    code = "pupil_required"

    def __init__(self) -> None:
        words = "Name the pupil: the account has none, or more than one."
        super().__init__(words, faults=(Fault("pupil", "pupil_required", words),))


class Grant(msgspec.Struct, frozen=True, gc=False):
    """A right given to a pupil: `until` null has no end; `origin` is the public id of what gave it (`sub_…`)."""

    source: Source
    origin: str
    features: frozenset[str]
    since: datetime
    until: datetime | None
    bound: bool = True
    end_reason: EndReason | None = None

    def end(self, now: datetime) -> datetime | None:
        """Where the right ends as known at `now`; None: never, or a trial's plan has passed and nobody was told."""
        if self.bound or self.until is None or self.until > now:
            return self.until
        return None


class PupilFacts(msgspec.Struct, frozen=True, gc=False):
    """What is known of one pupil of one account. `blocks` are the school's: feature → since when (R12)."""

    pupil: str
    grants: tuple[Grant, ...] = ()
    blocks: dict[str, datetime] = {}
    notice_pending: bool = False
    linked: bool = True


class AccountFacts(msgspec.Struct, frozen=True, gc=False):
    """All that is known of an account, pupil by pupil, in the order in which they were linked."""

    account: str
    pupils: tuple[PupilFacts, ...] = ()

    def of(self, pupil: str | None) -> PupilFacts:
        """The facts of one pupil; of a pupil that is not linked nothing is told but that.

        None means the only pupil. Raises PupilRequired where there is no only one.
        """
        if pupil is not None:
            return next((each for each in self.pupils if each.pupil == pupil), PupilFacts(pupil, linked=False))
        if len(self.pupils) != 1:
            raise PupilRequired
        return self.pupils[0]
