"""What an event means for us: which object to ask the provider about again. Pure.

An event's own content is never believed, only what it is about: the order of arrival then matters to nobody (I01).
"""

import hashlib
import re
from typing import Final, Literal

import msgspec

from billing.kernel.bodies import check_text
from billing.kernel.errors import Malformed
from billing.payments.facts import API_VERSION

Subject = Literal["checkout", "payment", "refund", "dispute", "subscription", "invoice", "mandate", "nothing"]

UNREADABLE: Final = "unreadable"
"""The type of an event in whose body none was found."""
_ID: Final = re.compile(r"^[A-Za-z0-9_.:\-]{1,250}$")
_TYPE: Final = re.compile(r"^[a-z0-9_.]{1,100}$")

_SUBJECTS: Final[tuple[tuple[str, Subject], ...]] = (
    ("checkout.session.", "checkout"),
    ("refund.", "refund"),
    ("charge.refund.", "refund"),
    ("charge.refunded", "payment"),
    ("charge.dispute.", "dispute"),
    ("customer.subscription.", "subscription"),
    ("invoice.", "invoice"),
    ("mandate.", "mandate"),
)

HANDLED: Final = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "mandate.updated",
)
"""The kinds worth asking for when deliveries were lost, and to subscribe to at the provider."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """An event as far as it can be read. `trouble` says why nobody may act on it; `body` is what was signed."""

    id: str
    type: str
    object_id: str | None
    payment_id: str | None
    api_version: str | None
    livemode: bool | None
    account: str | None
    body: bytes
    trouble: str | None = None


class Target(msgspec.Struct, frozen=True):
    """What to read again at the provider; `why` when there is nothing to."""

    subject: Subject
    id: str = ""
    why: str = ""


class _Object(msgspec.Struct, frozen=True):
    id: str | None = None
    payment_intent: str | None = None


class _Data(msgspec.Struct, frozen=True):
    object: _Object


class _Event(msgspec.Struct, frozen=True):
    id: str
    type: str
    data: _Data
    livemode: bool
    object: Literal["event"]
    api_version: str | None = None
    account: str | None = None


_EVENT: Final = msgspec.json.Decoder(_Event)
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def head_of(body: bytes, *, expects_livemode: bool) -> Head:
    """Read of a genuine body what we need, and pass over the rest. What cannot be read is kept under the hash of its
    bytes, in trouble (S03); so is an event of another mode, account or API version, under its own id (S09, R62)."""
    try:
        event = _EVENT.decode(body)
        if not body.isascii() or not _is_plain(body):
            check_text(body)
    except (Malformed, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _unreadable(body)
    if "\0" in f"{event.api_version}{event.account}":
        return _unreadable(body)
    subject = event.data.object
    if not _ID.match(event.id) or not _TYPE.match(event.type) or (subject.id and not _ID.match(subject.id)):
        return _unreadable(body)
    trouble = None
    if event.livemode is not expects_livemode:
        trouble = f"livemode is {event.livemode}"
    elif event.account is not None:
        trouble = "for another account"
    elif event.api_version != API_VERSION:
        trouble = f"API version {str(event.api_version)[:40]}"
    return Head(
        id=event.id,
        type=event.type,
        object_id=subject.id,
        payment_id=subject.payment_intent,
        api_version=event.api_version,
        livemode=event.livemode,
        account=event.account,
        body=body,
        trouble=trouble,
    )


def _is_plain(body: bytes) -> bool:
    """Whether no name is there twice where we read: in the event, its `data`, and the object. Answers no also where it
    only cannot tell, and then the whole text is looked at. Blanks are left out, those in strings too: that changes
    nothing but names with blanks, and none that we read has any."""
    event = _once(body.translate(None, b" \t\r\n"))
    data = None if event is None else _once(event["data"])
    return data is not None and _once(data["object"]) is not None


def _once(text: bytes | msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    """The members of a JSON object whose names are all plain and different: without its values, nothing is left of the
    text but each name, once."""
    found = _MEMBERS.decode(text)
    told = sum([len(name) + len('"":,') + len(value) for name, value in found.items()])
    return found if len(text) == told + len("{}") - len(",") else None


def target_of(event_type: str, object_id: str | None, payment_id: str | None) -> Target:
    """What the event asks us to look at again."""
    subject: Subject | None = next((subject for start, subject in _SUBJECTS if event_type.startswith(start)), None)
    if subject is None:
        return Target("nothing", why=f"{event_type} changes nothing here")
    about = payment_id if subject == "payment" else object_id
    if not about:
        return Target("nothing", why=f"{event_type} names no {subject}")
    return Target(subject, about)


def target_in(body: bytes) -> Target:
    """`target_of` a stored body that was readable when it came."""
    event = _EVENT.decode(body)
    return target_of(event.type, event.data.object.id, event.data.object.payment_intent)


def _unreadable(body: bytes) -> Head:
    return Head(
        id=f"unreadable_{hashlib.sha256(body).hexdigest()}",
        type=UNREADABLE,
        object_id=None,
        payment_id=None,
        api_version=None,
        livemode=None,
        account=None,
        body=body,
        trouble="signed, but not an event we can read",
    )
