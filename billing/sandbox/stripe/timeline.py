"""What time itself does: each due thing in its turn, at the very instant at which it was due."""

from billing.sandbox.stripe import checkout_flow, clocks, mandates, refunds, subscriptions
from billing.sandbox.stripe.books import Books
from billing.sandbox.stripe.errors import Json


def pass_time(books: Books, most: int) -> int:
    """Do what is due on the shared clock, at most so many things; answers how many that were.

    A thing that was due while nobody looked is done as of its own instant, so that what it writes down does not depend
    on how far the clock was moved at once.
    """
    for done in range(most):
        found = books.store.first_due(books.instant)
        if found is None:
            return done
        due, body = found
        come_due(books.moved(min(due, books.instant)), body)
    return most


def come_due(books: Books, body: Json) -> None:
    """Let time act on one object."""
    kind = str(body["object"])
    if kind == "checkout.session":
        checkout_flow.expire(books, body)
    elif kind == "subscription":
        subscriptions.come_due(books, body)
    elif kind == "invoice":
        subscriptions.invoice_come_due(books, body)
    elif kind == "mandate":
        mandates.deactivate(books, body)
    elif kind == "test_helpers.test_clock":
        _advance(books, body)
    else:
        refunds.finish(books, body, good=False)


def _advance(books: Books, clock: Json) -> None:
    """Live through everything that falls due on a test clock up to where it was sent."""
    target = float(clock["status_details"]["advancing"]["target_frozen_time"])
    while (found := books.store.first_due(target, clock["id"])) is not None:
        due, body = found
        come_due(books.moved(max(due, float(clock["frozen_time"])), clock["id"]), body)
    clocks.arrive(books, clock, int(target))
