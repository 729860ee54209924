"""What people, staff and banks do in a story, each through the door it would really use."""

from typing import Any, cast

from billing.accounts import service as accounts
from billing.sandbox.stripe import checkout_flow, disputes, refunds
from billing.sandbox.stripe.errors import Json, StripeError
from billing.withdrawals import goodwill, withdrawing
from billing.withdrawals.goodwill import StaffReason
from tests.histories.direct import books_of
from tests.histories.reducer import Deed
from tests.histories.stories import Step, Story
from tests.histories.village import Village


async def act(village: Village, story: Story, step: Step) -> None:
    """Do one step; what cannot be done now is passed over."""
    house, number = village.house, story.number
    match step.what:
        case "click":
            await village.click(story, step)
        case "break":
            village.breaks.append(step.outcome)
        case "erase":
            await house.erase(f"h{number}a{step.buyer}")
            village.deeds.append(Deed("erase", f"h{number}a{step.buyer}", house.now))
        case "block":
            async with house.database.begin() as session:
                await accounts.put_school(session, f"h{number}s", house.catalogue.add_ons, house.now)
        case "withdraw":
            await _withdraw(village, number, step)
        case "staff":
            await _by_staff(village, number, step)
        case "by_hand" if not await _has_right(village, number, step):
            return
        case _:
            _at_stripe(village, number, step)


async def _withdraw(village: Village, number: int, step: Step) -> None:
    house, page = village.house, _page(village, number, step)
    if page is None:
        return
    declared = withdrawing.Declared(name="Anna", contact="anna@rodzice.example")
    terms = withdrawing.terms_of(house.catalogue, house.services.site.secret)
    async with house.database.begin() as session:
        done = await withdrawing.withdraw(session, page["metadata"]["order"], declared, terms, house.now)
    if done.state == "accepted":
        village.deeds.append(Deed("withdraw", done.order, done.received_at))


async def _by_staff(village: Village, number: int, step: Step) -> None:
    """Staff give money back on their own decision; where the books say no (R77), it is refused."""
    house, page = village.house, _page(village, number, step)
    if page is None:
        return
    order, reason = page["metadata"]["order"], cast("StaffReason", step.how)
    async with house.database.begin() as session:
        await goodwill.propose(session, order, step.amount, reason, "staff:anna", "asked for", house.now)
    village.deeds.append(Deed("staff", order, house.now, step.amount))


async def _has_right(village: Village, number: int, step: Step) -> bool:
    """Whoever gives money back in Stripe's own dashboard has looked before: the order has its right. Other money of it
    may be on its way back."""
    page = _page(village, number, step)
    query = "select exists (select from subscription where order_id = :name and state = 'active')"
    return page is not None and await village.house.one(query, name=page["metadata"]["order"])


def _page(village: Village, number: int, step: Step) -> Json | None:
    return village.store.get(village.pages.get((number, step.page), ""))


def _at_stripe(village: Village, number: int, step: Step) -> None:
    """What happens outside: on Stripe's page, at banks, in Stripe's own dashboard."""
    session = _page(village, number, step)
    if session is None:
        return
    with village.store.transaction():
        books = books_of(village.standin)
        try:
            _pull(village, books, session, step)
        except (checkout_flow.Impossible, StripeError):
            return
    if session["payment_intent"]:
        village.owner[session["payment_intent"]] = number


def _pull(village: Village, books: Any, session: Json, step: Step) -> None:
    if step.what == "pay":
        if checkout_flow.offers(session, step.how, step.outcome):
            checkout_flow.pay(books, session, step.how, step.outcome)
        return
    if step.what == "settle":
        checkout_flow.settle(books, session, good=step.outcome == "succeeded")
        return
    intent = books.find(session["payment_intent"], "payment_intent")
    charge = books.find(intent["latest_charge"], "charge") if intent else None
    if charge is None or charge["status"] != "succeeded":
        return
    if step.what == "refunds":
        refunds.set_outcome(books, charge, step.outcome)
    elif step.what == "by_hand":
        made = refunds.create(books, {"charge": charge["id"], "amount": step.amount}, {})
        village.deeds.append(Deed("refund", session["metadata"]["order"], village.house.now, made["amount"]))
    elif step.what == "dispute":
        _dispute(village, books, charge, step)


def _dispute(village: Village, books: Any, charge: Json, step: Step) -> None:
    known = disputes.standing(books, charge)
    if step.outcome == "opened":
        if not charge["disputed"] and charge["payment_method_details"]["type"] != "p24":
            disputes.open_dispute(books, charge)
    elif known is not None:
        disputes.close(books, known, won=step.outcome == "won")
        village.ended[charge["id"]] = village.house.now
