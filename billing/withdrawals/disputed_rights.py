"""What a lost dispute ended, given again when the bank thinks again and the money is back."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from billing.subscriptions import service as subscriptions
from billing.subscriptions.rules import LIVE
from billing.subscriptions.service import Pass, Subscription
from billing.trials import service as trials
from billing.withdrawals import disputed_money
from billing.withdrawals.dispute_rules import is_covered


async def give_again(session: AsyncSession, order: str, account: str | None, unit_gross: int, at: datetime) -> int:
    """Begin anew, from `at` to its own end, each season pass of the order that was lost to a dispute, if what is kept
    pays for all of them; answers how much is kept then that buys nothing: for people to decide about (I12).

    What is over stays over (I04): it is a right of its own that begins, by news that came after the loss. So it ends as
    if nobody had ever heard of the loss (I01). What renewed does not come back by itself: it was ended at the provider.
    """
    rights = await subscriptions.of_order(session, order, lock=True)
    held = sum(right.state in LIVE for right in rights)
    if any(right.kind == "renewing" for right in rights):
        return 0 if held else await disputed_money.without_right(session, order)
    lost = {right.pupil: right for right in rights if right.state == "disputed" and right.until > at}
    kept = await disputed_money.kept(session, order)
    begun: list[str] = []
    if is_covered(kept, unit_gross, held + len(lost)):
        begun = [pupil for pupil in sorted(lost) if await _begin(session, lost[pupil], order, account, at)]
        await trials.convert(session, begun, at)
    return kept - unit_gross * (held + len(begun))


async def _begin(session: AsyncSession, was: Subscription, order: str, account: str | None, at: datetime) -> bool:
    wanted = Pass(
        pupil=was.pupil, account=account or "", product=was.product, features=tuple(was.features),
        since=max(at, was.since), until=was.until, order=order,
    )  # fmt: skip
    made = await subscriptions.begin_pass(session, wanted, at)
    if made is not None:
        made.account = account
    return made is not None
