"""What answers are made of: the grants, blocks and links of pupils, as plain values."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, runtime_checkable

import msgspec

from billing.kernel.errors import Fault, Invalid, NotFound

Source = Literal["trial", "paid", "sponsored", "granted", "grace"]
EndReason = Literal["withdrawn", "refunded", "disputed", "payment_failed", "sponsorship_ended"]

Span = tuple[int, int]
"""Since when and until when a right holds, in microseconds since 1970."""
NO_SPAN: Final[Span] = (0, 0)
GRACE: Final = timedelta(hours=1)
"""How long a yes is still told, as `stale`, after its `valid_until`, while nobody can know what came after it (I07)."""


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


class Holding(msgspec.Struct, frozen=True, gc=False):
    """A grant that holds at the instant asked about. `until` null: no end is known."""

    source: Source
    id: str
    since: datetime
    until: datetime | None


Only = tuple[Holding, bool]
"""The one right of a pupil, and whether a notice is pending."""


class PupilFacts(msgspec.Struct, frozen=True, gc=False):
    """What is known of one pupil of one account. `blocks` are the school's: feature → since when (R12)."""

    pupil: str
    grants: tuple[Grant, ...] = ()
    blocks: dict[str, datetime] = {}
    notice_pending: bool = False
    linked: bool = True


class AccountFacts(msgspec.Struct, frozen=True, gc=False):
    """All that is known of an account, pupil by pupil, in the order in which they were linked.

    `stale`: the last that was known, while the store cannot be asked whether it still is so (I07).
    """

    account: str
    pupils: tuple[PupilFacts, ...] = ()
    stale: bool = False

    def of(self, pupil: str | None) -> PupilFacts:
        """The facts of one pupil; of a pupil that is not linked nothing is told but that.

        None means the only pupil. Raises PupilRequired where there is no only one.
        """
        if pupil is not None:
            for each in self.pupils:
                if each.pupil == pupil:
                    return each
            return PupilFacts(pupil, linked=False)
        if len(self.pupils) != 1:
            raise PupilRequired
        return self.pupils[0]


@runtime_checkable
class Facts(Protocol):
    """Whoever knows the facts: the database itself, or something in front of it."""

    def at_hand(self, account: str) -> AccountFacts | None:
        """What is known here and may be trusted at this instant; None: ask, which may have to wait. Never stale."""
        ...

    def spans_at_hand(
        self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]
    ) -> Sequence[Span]:
        """For each of many questions the span of the one right that the answer rests on, where `at_hand` is as plain as
        that: an only pupil (and nothing, or that one, is asked for) with an only right, which gives the feature, and no
        block. NO_SPAN: it is not, or not known, or the right has no end.
        """
        ...

    def only_at_hand(
        self, accounts: Sequence[bytes], pupils: Sequence[bytes], features: Sequence[str]
    ) -> Sequence[Only | None]:
        """The rights themselves of which `spans_at_hand` tells the spans; None where that is NO_SPAN."""
        ...

    async def account(self, account: str, *, strong: bool = False) -> AccountFacts | None:
        """The facts of one account, None for an unknown one. `strong`: those committed at this moment, never others.

        Raises Unavailable `store_unavailable`.
        """
        ...

    async def accounts(self, accounts: Collection[str], *, strong: bool = False) -> dict[str, AccountFacts]:
        """The facts of each known account, as `account` tells them. Raises Unavailable `store_unavailable`."""
        ...
