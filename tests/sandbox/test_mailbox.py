"""The mailbox: real SMTP in, the contract's JSON and a page out, and every way a mail server can fail (contract 8)."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest

from tests.sandbox.conftest import Outside


@pytest.fixture(autouse=True)
def _well_behaved(outside: Outside) -> Iterator[None]:
    yield
    outside.client.post("/sandbox/mailbox/faults", json={"mode": "normal"})


def letter(to: str, subject: str = "Okres próbny kończy się 30 listopada") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Dodatki mobilne <dodatki@edziennik.example>", to, subject
    mail["X-Letter"] = "trial_ending"
    mail.set_content("Zażółć gęślą jaźń.\nhttps://example.pl/activate/abc\n")
    mail.add_alternative('<p>Zażółć <a href="/x">gęślą</a></p><script>alert(1)</script>', subtype="html")
    mail.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="regulamin ą.pdf")
    return mail


def send(outside: Outside, mail: EmailMessage, seconds: float = 5) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", outside.smtp_port, timeout=seconds) as server:
        return server.send_message(mail)


def inbox(outside: Outside, to: str) -> list[dict[str, Any]]:
    return outside.client.get("/sandbox/mailbox", params={"to": to}).json()["data"]


def fault(outside: Outside, **setting: object) -> httpx2.Response:
    return outside.client.post("/sandbox/mailbox/faults", json=setting)


def test_a_letter_is_told_as_the_contract_says(outside: Outside) -> None:
    send(outside, letter("anna@example.pl"))
    send(outside, letter("anna@example.pl", "second"))
    send(outside, letter("jan@example.pl"))
    first, second = inbox(outside, "Anna@example.pl")
    assert second["subject"] == "second"
    assert set(first) == {"id", "to", "from", "subject", "text", "html", "headers", "attachments", "sent_at"}
    assert first["to"] == "anna@example.pl"
    assert first["from"] == "dodatki@edziennik.example"
    assert first["subject"] == "Okres próbny kończy się 30 listopada"
    assert first["text"] == "Zażółć gęślą jaźń.\nhttps://example.pl/activate/abc\n"
    assert str(first["html"]).startswith("<p>Zażółć")
    assert first["headers"]["X-Letter"] == "trial_ending"
    assert str(first["sent_at"]).endswith("Z")
    (file,) = first["attachments"]
    assert (file["name"], file["type"], file["size"]) == ("regulamin ą.pdf", "application/pdf", 8)
    fetched = outside.client.get(file["url"])
    assert fetched.content == b"%PDF-1.7"
    assert fetched.headers["content-disposition"].startswith("attachment")
    assert {one["to"] for one in outside.client.get("/sandbox/mailbox").json()["data"]} >= {"jan@example.pl"}
    assert inbox(outside, "nobody@example.pl") == []


def test_letters_carry_the_time_of_the_shared_clock(outside: Outside) -> None:
    moved = outside.client.post("/sandbox/clock", json={"advance": "P400D"}).json()["now"]
    send(outside, letter("later@example.pl"))
    assert inbox(outside, "later@example.pl")[0]["sent_at"] == moved


def test_a_browser_gets_pages_that_run_no_script(outside: Outside) -> None:
    send(outside, letter("page@example.pl", "<b>hej</b>"))
    browser = {"Accept": "text/html,application/xhtml+xml"}
    listing = outside.client.get("/sandbox/mailbox?to=page@example.pl", headers=browser)
    assert listing.headers["content-type"].startswith("text/html")
    assert "&lt;b&gt;hej&lt;/b&gt;" in listing.text
    one = outside.client.get(f"/sandbox/mailbox/{inbox(outside, 'page@example.pl')[0]['id']}", headers=browser)
    assert 'sandbox="allow-top-navigation-by-user-activation" srcdoc="&lt;base' in one.text
    assert "<script" not in one.text
    assert "script-src" not in one.headers["content-security-policy"]
    assert one.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(("mode", "code"), [("refuse", 554), ("bounce", 550), ("tempfail", 451)])
def test_recipients_are_refused_as_told_and_others_are_not(outside: Outside, mode: str, code: int) -> None:
    assert fault(outside, mode=mode, only_to="blocked").json() == {"mode": mode, "only_to": "blocked", "kept": True}
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(outside, letter(f"blocked-{mode}@example.pl"))
    assert refused.value.recipients[f"blocked-{mode}@example.pl"][0] == code
    assert inbox(outside, f"blocked-{mode}@example.pl") == []
    send(outside, letter(f"free-{mode}@example.pl"))
    assert len(inbox(outside, f"free-{mode}@example.pl")) == 1


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    ("mode", "trouble"), [("hang_after_data", TimeoutError), ("close_after_data", smtplib.SMTPServerDisconnected)]
)
def test_an_answer_that_never_comes_leaves_the_sender_not_knowing(
    outside: Outside, mode: str, trouble: type[Exception], *, kept: bool
) -> None:
    to = f"{mode.replace('_', '-')}-{kept}@example.pl"
    fault(outside, mode=mode, kept=kept)
    with pytest.raises((trouble, smtplib.SMTPServerDisconnected)):
        send(outside, letter(to), seconds=1)
    assert len(inbox(outside, to)) == int(kept)


def test_bad_settings_and_unknown_letters_are_problems(outside: Outside) -> None:
    refused = fault(outside, mode="explode", surprise=1)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert {one["pointer"] for one in refused.json()["errors"]} == {"/mode", "/surprise"}
    for path in ("mail_0", "mail_99999999999999999999", "x", "mail_1/attachments/9", "mail_1/attachments/x"):
        assert outside.client.get(f"/sandbox/mailbox/{path}").status_code == 404
