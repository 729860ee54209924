"""What the mail server's answers mean, at each step of a letter's way (R29, I18): real SMTP, told what to say."""

from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from billing.notices.letters_draft import Written
from billing.notices.mailer import Envelope, SmtpMailer, Undelivered
from tests.benchmarks.place import free_port

LETTER = Written(language="pl", subject="Temat", text="Dzień dobry", html="<p>Dzień dobry</p>", attachments=(),
                 category="service")  # fmt: skip
ENVELOPE = Envelope(sender="Dodatki <dodatki@example.org>", to="anna@rodzice.example", message_id="ntc_1@example.org")


class Relay:
    """Answers each step as told, and else as all is well; `taken` counts the letters it took."""

    def __init__(self, **says: str) -> None:
        self.says = says
        self.taken = 0

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        envelope.mail_from = address
        return self.says.get("mail", "250 2.1.0 Ok")

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802 - aiosmtpd's name
        envelope.rcpt_tos.append(address)
        return self.says.get("rcpt", "250 2.1.5 Ok")

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        answer = self.says.get("dot", "250 2.0.0 Ok: queued")
        self.taken += answer.startswith("250")
        return answer

    async def handle_QUIT(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        return self.says.get("quit", "221 Bye")


@pytest.fixture
def doors() -> Iterator[list[Controller]]:
    opened: list[Controller] = []
    yield opened
    for door in opened:
        door.stop()


async def handed(doors: list[Controller], relay: Relay) -> str:
    door = Controller(relay, hostname="127.0.0.1", port=free_port())
    doors.append(door)
    door.start()
    return await SmtpMailer(f"smtp://127.0.0.1:{door.port}").send(ENVELOPE, LETTER)


@pytest.mark.parametrize(
    ("step", "answer", "is_permanent"),
    [
        ("rcpt", "550 5.1.1 <anna@rodzice.example>: no such user", True),
        ("rcpt", "550 5.1.10 the domain takes no mail", True),
        ("rcpt", "550 5.2.1 the mailbox is disabled", True),
        ("rcpt", "550 no such user here", True),
        ("dot", "550 5.1.1 no such user", True),
        ("rcpt", "554 5.7.1 relay access denied", False),
        ("rcpt", "553 5.1.8 sender address rejected", False),
        ("rcpt", "552 5.2.2 mailbox full", False),
        ("rcpt", "554 go away", False),
        ("rcpt", "451 4.3.0 later", False),
        ("mail", "530 5.7.0 authentication required", False),
        ("mail", "550 5.1.7 sender not verified", False),
        ("mail", "550 sender not verified", False),
        ("dot", "554 5.7.1 blocked", False),
        ("dot", "550 5.4.5 daily quota exceeded", False),
        ("dot", "550 blocked", False),
    ],
)
async def test_r29_only_what_names_the_mailbox_says_that_a_parent_cannot_be_reached(
    doors: list[Controller], step: str, answer: str, is_permanent: bool
) -> None:
    with pytest.raises(Undelivered) as told:
        await handed(doors, Relay(**{step: answer}))
    assert (told.value.is_permanent, told.value.answer) == (is_permanent, answer)


@pytest.mark.parametrize("bye", ["221 Bye", "250 Bye", "421 4.3.2 shutting down", "500 what"])
async def test_i18_whatever_is_answered_to_the_good_bye_the_letter_is_taken(doors: list[Controller], bye: str) -> None:
    relay = Relay(quit=bye)
    assert await handed(doors, relay) == "250 2.0.0 Ok: queued"
    assert relay.taken == 1
