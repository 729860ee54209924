"""A stand-in for Stripe: its HTTP API, its page to pay on, its events; and strings to pull behind the scenes.

    wire      standin (ASGI, time), api (the door of /v1), control (the strings), pages (what people see)
    asked     forms, params, operations, listing, expand, errors
    rooms     catalogue, customers, sessions, intents, refunds, disputes, invoices, subscription_calls, balance,
              events, portal
    happens   checkout_flow (paid, refused, waiting, expired), subscriptions (renewed, ended), deliveries (events sent)
    shapes    session_shape, methods; otherwise beside the room that makes the object
    kept      books (one call), store (one SQLite file)

It knows nothing of the product: it could stand in for Stripe in front of anything. Instants come from the clock it is
given, amounts are minor units, the API version is ``2026-10-28.endive``.
"""

from billing.sandbox.stripe.standin import StripeStandIn, create_stripe

__all__ = ["StripeStandIn", "create_stripe"]
