"""Problems as RFC 9457 tells them: one map from our errors to answers, one title for each type, and what to do."""

from http import HTTPStatus

import msgspec

from billing.kernel.errors import (
    BillingError,
    Conflict,
    Fault,
    Forbidden,
    Gone,
    Invalid,
    Malformed,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[BillingError], HTTPStatus], ...] = (
    (Malformed, HTTPStatus.BAD_REQUEST),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Gone, HTTPStatus.GONE),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


class Problem(msgspec.Struct, frozen=True):
    """An answer that is not what was asked for; `code` is stable, `title` never varies for a `type`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: tuple[Fault, ...] = ()


class Advice(msgspec.Struct, frozen=True):
    """What the page behind a problem's `type` says."""

    title: str
    what_to_do: str


CATALOGUE: dict[str, Advice] = {
    "malformed_request": Advice("Malformed request", "Correct the fields named in `errors` and send again."),
    "malformed_body": Advice("Malformed body", "Send one JSON document in UTF-8, without a key given twice."),
    "invalid_request": Advice("Request refused", "Correct what `errors` and `detail` name and send again."),
    "unsupported_media_type": Advice("Unsupported media type", "Send `Content-Type: application/json`."),
    "body_incomplete": Advice("Body incomplete", "Send the whole body at once; after 20 seconds nobody waits for it."),
    "payload_too_large": Advice("Payload too large", "Send less at once; bodies are at most 1 MB."),
    "key_missing": Advice("API key missing", "Send `Authorization: Bearer <key>`."),
    "key_unknown": Advice("API key not accepted", "Use a living key; `billing keys list` shows them."),
    "scope_missing": Advice("Scope missing", "Use a key that holds the scope named in `detail`."),
    "unauthenticated": Advice("Not authenticated", "Log in, or send an API key."),
    "forbidden": Advice("Forbidden", "Ask somebody who holds the role this needs."),
    "not_found": Advice("Not found", "Check the address and the id; ids carry a prefix that names their kind."),
    "method_not_allowed": Advice("Method not allowed", "The `Allow` header lists the methods of this address."),
    "conflict": Advice("Conflict", "Read the present state and decide again."),
    "second_person_needed": Advice("A second person is needed", "Somebody else must approve what you proposed."),
    "not_an_outcome": Advice("Not an outcome of this", "Choose one of the outcomes that this kind of case has."),
    "gone": Advice("Gone", "It is over; ask for a new one."),
    "changes_forgotten": Advice("Changes kept no more", "Ask about your accounts anew; begin again without `after`."),
    "rate_limited": Advice("Too many requests", "Wait for the seconds in `Retry-After`, then ask again."),
    "unavailable": Advice("Unavailable", "Wait for the seconds in `Retry-After`, then ask again."),
    "store_unavailable": Advice("Store unavailable", "Basic features stay allowed; ask again after `Retry-After`."),
    "internal_error": Advice("Internal error", "Nothing was changed. Tell us the `request_id`."),
    "idempotency_key_reused": Advice("Idempotency key reused", "Use a fresh key for another request."),
    "idempotency_in_progress": Advice("Request in progress", "The first request still runs; ask again in a moment."),
    "unknown_feature": Advice("Unknown feature", "Ask for a feature of the catalogue (`GET /v1/catalog`)."),
    "unknown_account": Advice("Unknown account", "Register the account first (`PUT /v1/accounts/{account}`)."),
    "channel_required": Advice("Channel required", "Say `channel=mobile` or `channel=web`; it is never guessed."),
    "targeting_key_missing": Advice("Targeting key missing", "Put the account's reference into `targetingKey`."),
    "pupil_required": Advice("Pupil required", "Name the pupil; the account has none, or more than one."),
    "guardian_email_required": Advice("Guardian's e-mail required", "An account under 13 needs `guardian_email`."),
    "not_linked": Advice("Pupil not linked", "Link the pupil to this account first."),
    "not_an_adult": Advice("Only adults may order", "Ask with an adult's account; show minors how to ask a parent."),
    "blocked_by_school": Advice("Blocked by the school", "The school blocks all paid features; nothing can be sold."),
    "sales_closed": Advice("Sales closed", "This season is no longer sold; offer the next one when it opens."),
    "already_covered": Advice("Already covered", "Every pupil named already has the full version."),
    "price_changed": Advice("Price changed", "Look at the new price and decide again."),
    "link_expired": Advice("Link expired", "Log in to the app and ask for a new link."),
    "link_unknown": Advice("Unknown link", "Check that the whole address was copied."),
    "refund_exceeds_payment": Advice("Refund exceeds payment", "Read what is left of the payment and refund less."),
    "invoice_term_over": Advice("Too late for an invoice", "It may be asked for until the third month after payment."),
    "nothing_to_invoice": Advice("Nothing to invoice", "No money is kept for this order; there is nothing to do."),
    "invoice_not_issued": Advice("Not issued", "Give the number of KSeF, or say on which other way it was issued."),
    "outcome_unknown": Advice("Outcome unknown", "An earlier call has no known outcome yet; try again later."),
    "foreign_object": Advice("Not what we asked for", "Compare the provider's object with ours; nothing was changed."),
    "signature_invalid": Advice("Signature invalid", "Sign the bytes that are sent, now, with a secret that is valid."),
    "provider_unavailable": Advice("Payment provider unavailable", "Nothing was taken. The link stays good."),
}


def status_of(error: BillingError) -> HTTPStatus:
    """The HTTP status of an error's kind."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def problem_of(error: BillingError, *, base: str, instance: str, request_id: str) -> Problem:
    """The problem that tells of `error`."""
    return problem(
        error.code, status_of(error), error.detail, error.faults, base=base, instance=instance, request_id=request_id
    )


def problem(
    code: str,
    status: int,
    detail: str,
    faults: tuple[Fault, ...] = (),
    /,
    *,
    base: str,
    instance: str,
    request_id: str,
) -> Problem:
    """A problem of the catalogue; an unlisted code is a defect of ours and fails loudly."""
    return Problem(
        type=f"{base}/problems/{code}",
        title=CATALOGUE[code].title,
        status=int(status),
        detail=detail,
        instance=instance,
        code=code,
        request_id=request_id,
        errors=faults,
    )
