"""Accounts and schools for the app backend; the page that confirms an address."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from litestar import Response, Router, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from billing.accounts import pages, service
from billing.accounts.tables import AccountRow
from billing.kernel.days import day_of, iso
from billing.kernel.errors import Fault, Gone, Invalid, NotFound
from billing.kernel.ids import Ref
from billing.kernel.speech import Speech
from billing.kernel.web import AnyRequest, answer_as, problem_answers
from billing.kernel.web_pages import Html, Site, page, speech_of, wrong_link
from entitlements.features import FeatureList

Locale = Literal["pl", "uk", "en"]
AgeBand = Literal["adult", "13_17", "under_13"]
Kind = Literal["guardian", "pupil"]
Address = Annotated[str, Meta(min_length=3, max_length=254, examples=["anna@example.pl"])]


class AccountIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the app backend tells of an account."""

    email: Address
    kind: Kind
    age_band: AgeBand
    locale: Locale = "pl"
    guardian_email: Address | None = None
    email_confirmed: bool = False


class AccountOut(msgspec.Struct, frozen=True, tag_field="object", tag="account"):
    """An account as it stands."""

    account: str
    email: str
    locale: str
    kind: str
    age_band: str
    guardian_email: str | None
    email_confirmed: bool
    status: Literal["pending", "active"]
    created_at: str


class SchoolIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The add-ons a school blocks for its pupils; an empty list blocks none."""

    blocked_features: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=100)]


class SchoolOut(msgspec.Struct, frozen=True, tag_field="object", tag="school"):
    """A school and what it blocks."""

    school: str
    blocked_features: list[str]


def told(row: AccountRow) -> AccountOut:
    """An account as strangers see it."""
    return AccountOut(
        account=row.account,
        email=row.email,
        locale=row.locale,
        kind=row.kind,
        age_band=row.age_band,
        guardian_email=row.guardian_email,
        email_confirmed=row.is_active,
        status="active" if row.is_active else "pending",
        created_at=iso(row.created_at),
    )


@put(
    "/accounts/{account:str}",
    operation_id="putAccount",
    tags=["Accounts"],
    summary="Register or change an account",
    status_code=200,
    responses=answer_as(AccountOut, "Registered", 201) | problem_answers(400, 401, 403, 413, 415, 422, 429, 503),
)
async def put_account(
    account: FromPath[Ref],
    data: JSONBody[AccountIn],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
) -> Response[AccountOut]:
    """Registers the account (201) or changes it (200). With `email_confirmed: false` a confirmation link, good for 14
    days, is mailed; until it is used no other mail is sent, and an account never confirmed is deleted (R90)."""
    person = service.Person(**{name: getattr(data, name) for name in service.Person.__struct_fields__})
    row, is_new = await service.put_account(session, account, person, at)
    return Response(told(row), status_code=201 if is_new else 200)


@get(
    "/accounts/{account:str}",
    operation_id="getAccount",
    tags=["Accounts"],
    summary="One account",
    responses=problem_answers(400, 401, 403, 404, 429, 503),
)
async def get_account(account: FromPath[Ref], session: NamedDependency[AsyncSession]) -> AccountOut:
    """The account as it stands."""
    return told(await service.get_account(session, account))


@put(
    "/schools/{school:str}",
    operation_id="putSchool",
    tags=["Accounts"],
    summary="Set what a school blocks",
    status_code=200,
    responses=problem_answers(400, 401, 403, 413, 415, 422, 429, 503),
)
async def put_school(
    school: FromPath[Ref],
    data: JSONBody[SchoolIn],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    features: NamedDependency[FeatureList],
) -> SchoolOut:
    """From now on exactly these add-ons are blocked for the school's pupils; a block wins over every right (R12)."""
    faults = tuple(
        Fault(f"/blocked_features/{index}", "unknown_feature", "Not an add-on of the catalogue")
        for index, feature in enumerate(data.blocked_features)
        if feature not in features.add_ons
    )
    if faults:
        raise Invalid("Only add-ons can be blocked.", faults=faults)
    await service.put_school(session, school, data.blocked_features, at)
    return SchoolOut(school, sorted(set(data.blocked_features)))


@get("/confirm/{token:str}", operation_id="showConfirmation", include_in_schema=False)
async def show_confirmation(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
) -> Html:
    """A page with one button; opening it changes nothing (I27)."""
    try:
        link, row = await service.find_confirmation(session, token, at)
    except (Gone, NotFound) as fault:
        return await _no_link(request, site, fault)
    speech = speech_of(request, row.locale)
    if link.used_at is not None:
        return page(site, pages.confirmed_page(_confirmed(site, row), speech), speech)
    shown = pages.ConfirmPage(
        seller=site.seller,
        action=f"/confirm/{token}",
        confirming=_confirming(row),
        valid_until=day_of(link.expires_at - timedelta(seconds=1)),
    )
    return page(site, pages.confirm_page(shown, speech), speech)


@post("/confirm/{token:str}", operation_id="confirm", include_in_schema=False, status_code=200)
async def do_confirm(
    request: AnyRequest,
    token: FromPath[str],
    session: NamedDependency[AsyncSession],
    at: NamedDependency[datetime],
    site: NamedDependency[Site],
) -> Html:
    """The press of the button; pressing again changes nothing."""
    try:
        row = await service.confirm(session, token, at)
    except (Gone, NotFound) as fault:
        return await _no_link(request, site, fault)
    speech = speech_of(request, row.locale)
    return page(site, pages.confirmed_page(_confirmed(site, row), speech), speech)


def _confirming(row: AccountRow) -> pages.Confirming:
    return "guardian" if row.age_band == "under_13" else "address"


def _confirmed(site: Site, row: AccountRow) -> pages.ConfirmedPage:
    return pages.ConfirmedPage(seller=site.seller, confirming=_confirming(row))


async def _no_link(request: AnyRequest, site: Site, fault: Gone | NotFound) -> Html:
    """The page that helps where a link opens nothing, or nothing any more."""

    def tell(speech: Speech) -> str:
        reason = "expired" if isinstance(fault, Gone) else "unknown"
        return pages.confirm_gone_page(pages.ConfirmGonePage(seller=site.seller, reason=reason), speech)

    if isinstance(fault, NotFound):
        return await wrong_link(request, site, tell)
    speech = speech_of(request)
    return page(site, tell(speech), speech, 410)


handlers = (
    put_account,
    get_account,
    put_school,
)

public_pages = Router("/", route_handlers=[show_confirmation, do_confirm])
