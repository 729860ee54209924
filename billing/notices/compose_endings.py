"""Letters about an end of the full version, as they are true at the moment they go (I20): of a free period (R22), or of
a season's passes (R63)."""

from collections.abc import Awaitable, Callable, Collection
from datetime import date, datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts.rules import may_order
from billing.accounts.service import Account
from billing.activation import service as activation
from billing.catalog.rules import offer_at, offer_on
from billing.checkout import showing
from billing.kernel.days import day_of, last_day_before, start_of
from billing.notices import service
from billing.notices.compose_desk import Desk, Told
from billing.notices.kinds import SEASON_ENDING, TRIAL_ENDING
from billing.notices.letters import AccessEnding
from billing.notices.letters_accounts import Cause, Reader
from billing.notices.tables import LetterRow
from billing.subscriptions import season_end
from billing.trials import untold
from entitlements import service as desk

_CAUSES: Final[dict[str, Cause]] = {TRIAL_ENDING: "trial", SEASON_ENDING: "season"}
ENDINGS: Final = tuple(_CAUSES)


async def ending_letter(
    session: AsyncSession, desk_: Desk, row: LetterRow, person: Account, at: datetime
) -> Told | str:
    """The letter, with a link for whoever may order; or the reason why there is nothing to say any more."""
    day = row.day
    if day is None:
        return "no_day"
    concerned = await _CONCERNED[row.kind](session, row, day, at)
    if isinstance(concerned, str):
        return concerned
    row.pupils = sorted(concerned)
    catalogue, reader = desk_.catalogue, _reader(person)
    url = expires = None
    secrets: tuple[str, ...] = ()
    if reader != "pupil":
        days = catalogue.order.link_days
        link = await activation.issue(session, person.account, row.pupils, at, days=days, reverts_on=day)
        secrets = (link.token,)
        url, expires = f"{desk_.public_url}/activate/{link.token}", last_day_before(link.expires_at)
    offer = offer_at(catalogue, None, at)
    if offer.last_day < day:  # what is sold today would be over by then
        offer = offer_on(catalogue, None, day)
    letter = AccessEnding(
        seller=desk_.seller,
        day=day,
        pupil_count=len(row.pupils),
        features=showing.names_of(catalogue, catalogue.add_ons, person.locale),
        basic_features=showing.names_of(catalogue, catalogue.basic, person.locale),
        price=offer.unit_gross,
        season_end=offer.last_day,
        season_start=offer.first_day if offer.first_day > day_of(at) else None,
        url=url,
        link_valid_until=expires,
        reader=reader,
        cause=_CAUSES[row.kind],
    )
    return Told(letter, secrets)


def _reader(person: Account) -> Reader:
    if person.age_band == "under_13":
        return "guardian"
    return "parent" if may_order(person.age_band) else "pupil"


async def _of_trials(session: AsyncSession, row: LetterRow, day: date, at: datetime) -> Collection[str] | str:
    """The pupils whose trials end on the day, unless it is too late to tell of one of them (R21)."""
    still = await service.concerned(session, row, at)
    waiting = [trial for trial in await untold.of(session, row.pupils, day) if trial.pupil in still]
    if any(at >= trial.told_by for trial in waiting):
        return "too_late"
    return {trial.pupil for trial in waiting} or service.NOBODY


async def _of_season(session: AsyncSession, row: LetterRow, day: date, at: datetime) -> Collection[str] | str:
    """The account's pupils whose passes end on the day, those linked since it was planned among them."""
    end = start_of(day)
    if at >= end:
        return "too_late"
    linked = [link.pupil for link in await desk.links_of(session, row.account)]
    return await season_end.ending_at(session, linked, end) or service.NOBODY


_Concerned = Callable[[AsyncSession, LetterRow, date, datetime], Awaitable[Collection[str] | str]]
_CONCERNED: Final[dict[str, _Concerned]] = {
    TRIAL_ENDING: _of_trials,
    SEASON_ENDING: _of_season,
}
