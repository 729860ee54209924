"""The pages a person sees: pay, the portal, a receipt. Polish, no script, marked as the sandbox."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing.sandbox.stripe import checkout_flow, subscription_calls
from billing.sandbox.stripe.books import Books
from billing.sandbox.stripe.errors import Json
from billing.sandbox.stripe.methods import BANKS
from billing.sandbox.stripe.periods import ends

_HERE = Path(__file__).parent / "templates"
_WARSAW = ZoneInfo("Europe/Warsaw")
LABELS = {"card": "Karta", "blik": "BLIK", "p24": "Przelewy24"}
_BLIK = re.compile(r"[0-9]{6}")
OUTCOMES = ("succeeded", "declined", "pending", "cancel")


def money(amount: int, currency: str) -> str:
    """4499 pln as ``44,99 zł`` with a no-break space (R122)."""
    unit = "zł" if currency == "pln" else currency.upper()
    return f"{amount / 100:.2f}".replace(".", ",") + f"\N{NO-BREAK SPACE}{unit}"


def day(stamp: int) -> str:
    """An instant as its day in Warsaw, ``30.06.2027``."""
    return datetime.fromtimestamp(stamp, UTC).astimezone(_WARSAW).strftime("%d.%m.%Y")


_pages = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
cast("dict[str, Any]", _pages.globals)["money"] = money


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser gets; ``location`` makes it a redirect."""

    status: int
    html: str = ""
    location: str | None = None
    kind: str = field(default="text/html; charset=utf-8")


def _note(status: int, title: str, *lines: str, back: str | None = None) -> Page:
    return Page(status, _pages.get_template("note.html").render(title=title, lines=lines, back=back))


def stylesheet() -> Page:
    """The one style sheet."""
    return Page(200, (_HERE / "pay.css").read_text(), kind="text/css; charset=utf-8")


def not_there() -> Page:
    """A page for what does not exist."""
    return _note(404, "Nie ma takiej strony", "Ten adres nie prowadzi do żadnej płatności.")


def _form(body: bytes) -> dict[str, str]:
    try:
        return {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    except (UnicodeDecodeError, ValueError):
        return {}


def show_session(books: Books, key: str, problems: Mapping[str, str] | None = None, chosen: str | None = None) -> Page:
    """GET /pay/{session}: the form while it is open, else what became of it."""
    session = books.find(key, "checkout.session")
    if session is None:
        return not_there()
    if session["status"] == "complete" and session["_charge"]:
        return _note(200, "Czekamy na bank", "Płatność czeka na potwierdzenie banku. Nic więcej nie trzeba robić.")
    if session["status"] == "complete" and session["payment_status"] == "paid":
        return _note(200, "Zapłacone", "To zamówienie jest już opłacone.", back=_success(session))
    if session["status"] == "complete":
        return _note(
            200, "Płatność się nie udała", "Bank odmówił. Nic nie zostało pobrane.", back=session["cancel_url"]
        )
    if session["status"] == "expired" or session["expires_at"] <= books.instant:
        return _note(
            410, "Sesja wygasła", "Czas na zapłatę minął. Nic nie zostało pobrane.", back=session["cancel_url"]
        )
    offered = [(kind, LABELS[kind]) for kind in session["payment_method_types"]]
    html = _pages.get_template("pay.html").render(
        title="Zapłać",
        session=session,
        items=books.store.children(key, "item"),
        kinds=offered,
        chosen=chosen or ("blik" if ("blik", LABELS["blik"]) in offered else offered[0][0]),
        banks=BANKS,
        can_wait=any(checkout_flow.offers(session, kind, "pending") for kind, _ in offered),
        problems={"general": "", "blik_code": "", **(problems or {})},
        wrong=bool(problems),
    )
    return Page(422 if problems else 200, html)


def _success(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", str(session["id"]))


def _problems(session: Json, kind: str, outcome: str, form: Mapping[str, str]) -> dict[str, str]:
    if outcome not in OUTCOMES or kind not in session["payment_method_types"]:
        return {"general": "Wybierz metodę płatności i to, co ma się stać."}
    if not checkout_flow.offers(session, kind, outcome):
        return {"general": "Przy tej metodzie bank odpowiada od razu: wybierz BLIK lub Przelewy24."}
    code = form.get("blik_code", "").replace(" ", "")
    if kind == "blik" and not _BLIK.fullmatch(code):
        return {"blik_code": "Kod BLIK ma 6 cyfr."}
    if kind == "p24" and form.get("bank", "ing") not in BANKS:
        return {"general": "Wybierz bank z listy."}
    return {}


def submit_session(books: Books, key: str, body: bytes) -> Page:
    """POST /pay/{session}: pay and go on to the shop, or see what is wrong."""
    session = books.find(key, "checkout.session")
    if session is None:
        return not_there()
    form = _form(body)
    kind, outcome = form.get("method", ""), form.get("outcome", "")
    if session["status"] != "open" or session["expires_at"] <= books.instant:
        return Page(409, show_session(books, key).html)
    if outcome == "cancel":
        back = session["cancel_url"]
        return Page(303, location=back) if back else show_session(books, key)
    problems = _problems(session, kind, outcome, form)
    if problems:
        return show_session(books, key, problems, kind)
    session = checkout_flow.pay(books, session, kind, outcome, bank=form.get("bank") if kind == "p24" else None)
    if outcome == "declined":
        words = {"general": "Płatność się nie udała. Nic nie zostało pobrane. Możesz spróbować jeszcze raz."}
        return show_session(books, key, words, kind)
    return Page(303, location=_success(session))


def show_portal(books: Books, key: str) -> Page:
    """GET /portal/{session}: the customer's subscriptions."""
    session = books.find(key, "billing_portal.session")
    if session is None:
        return not_there()
    found = books.store.all_of("subscription", "AND json_extract(body, '$.customer') = ?", session["customer"])
    html = _pages.get_template("portal.html").render(
        title="Twoje subskrypcje", subscriptions=[_row(row) for row in found], back=session["return_url"]
    )
    return Page(200, html)


def _row(subscription: Json) -> dict[str, Any]:
    item = subscription["items"]["data"][0]
    words = f"{money(int(item['price']['unit_amount']) * int(item['quantity']), subscription['currency'])}"
    until = day(ends(subscription))
    row: dict[str, Any] = {"id": subscription["id"], "words": words, "action": None, "button": None}
    if subscription["status"] == "canceled":
        return {**row, "state": f"Zakończona {day(subscription['ended_at'])}."}
    if subscription["cancel_at_period_end"]:
        return {**row, "state": f"Trwa do {until}, potem się kończy.", "action": "resume", "button": "Wznów odnawianie"}
    return {**row, "state": f"Odnowi się {until}.", "action": "cancel", "button": "Wyłącz odnawianie"}


def submit_portal(books: Books, key: str, body: bytes) -> Page:
    """POST /portal/{session}: renewal off or on again."""
    session = books.find(key, "billing_portal.session")
    form = _form(body)
    subscription = books.find(form.get("subscription"), "subscription")
    if session is None or subscription is None or subscription["customer"] != session["customer"]:
        return not_there()
    if form.get("action") in ("cancel", "resume") and subscription["status"] != "canceled":
        change: Json = {"cancel_at_period_end": form["action"] == "cancel"}
        subscription_calls.update(books, change, {"id": subscription["id"]})
    return Page(303, location=f"{books.public_base}/portal/{key}")


def show_paper(books: Books, key: str) -> Page:
    """GET /receipts/{charge} and /invoices/{invoice}: a few plain lines."""
    charge, invoice = books.find(key, "charge"), books.find(key, "invoice")
    if charge is not None:
        total = money(int(charge["amount"]), str(charge["currency"]))
        return _note(200, "Potwierdzenie płatności", f"{day(charge['created'])}: {total}")
    if invoice is not None:
        total = money(int(invoice["total"]), str(invoice["currency"]))
        return _note(
            200, f"Dokument {invoice['number']}", f"{day(invoice['created'])}: {total}", "To nie jest faktura."
        )
    return not_there()
