"""Refusals in Stripe's own envelope: ``{"error": {"type", "code", "message", "param", ...}}``."""

from typing import Any

Json = dict[str, Any]

DOCS = "https://docs.stripe.com/error-codes"


class StripeError(Exception):
    """A refusal the caller sees.

    ``stored`` says whether the answer is kept under the idempotency key: refusals made while executing are, refusals
    made before execution (authentication, validation, rate limits) are not. ``keeps`` says whether what was
    done until then stays done: a refused card is a fact, a wrong parameter is not.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        stored: bool = False,
        keeps: bool = False,
        extra: Json | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.code = code
        self.param = param
        self.stored = stored
        self.keeps = keeps
        self.extra = extra or {}

    def envelope(self, request_id: str) -> Json:
        """The body of the answer; absent members are left out as Stripe does."""
        error: Json = {"type": self.kind, "message": self.message}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"{DOCS}/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": {**error, **self.extra}}


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """400, found before execution: never stored under the key."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param)


def refused(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """400, found while executing: the state of the object does not allow it; stored under the key."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param, stored=True)


def card_refused(error: Json, *, keeps: bool = False) -> StripeError:
    """402: the payment was tried and refused; ``error`` is the intent's ``last_payment_error``."""
    extra = {name: error[name] for name in ("charge", "decline_code", "payment_method") if name in error}
    message = str(error.get("message", "The payment failed."))
    code = str(error.get("code", "card_declined"))
    return StripeError(402, "card_error", message, code=code, stored=True, keeps=keeps, extra=extra)


def missing(kind: str, key: str, param: str = "id", *, in_path: bool = True) -> StripeError:
    """The object is not there: 404 when the path names it, 400 when a parameter does."""
    message = f"No such {kind}: '{key}'"
    status = 404 if in_path else 400
    return StripeError(status, "invalid_request_error", message, code="resource_missing", param=param)


def not_found(method: str, path: str) -> StripeError:
    """No operation has this method and path."""
    message = f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs"
    return StripeError(404, "invalid_request_error", message)


def unauthorized(key: str | None) -> StripeError:
    """401: no secret test key, or something that is not one."""
    if not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    else:
        message = f"Invalid API Key provided: {key[:3]}{'*' * 8}"
    return StripeError(401, "invalid_request_error", message)


def forbidden() -> StripeError:
    """403: the key lacks a permission; found before execution, never stored."""
    return StripeError(403, "invalid_request_error", "The provided key does not have the required permissions.")


def server_error() -> StripeError:
    """500 as Stripe words it; stored under the key and replayed (reliability F29)."""
    message = "An unknown error occurred"
    return StripeError(500, "api_error", message, stored=True)


def rate_limited() -> StripeError:
    """429, made before the idempotency layer: never stored (F30)."""
    message = (
        "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits."
    )
    return StripeError(429, "invalid_request_error", message, code="rate_limit")


def key_reused(key: str) -> StripeError:
    """400: one idempotency key, two different requests."""
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return StripeError(400, "idempotency_error", message)
