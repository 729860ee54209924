"""The mailbox by HTTP: JSON for programs, pages for people."""

from litestar import Response, Router, get, post
from litestar.params import FromPath, FromQuery

from billing.sandbox.mailbox import Letter, Mailbox, MailFault
from billing.sandbox.web import AnyRequest, body_of, json_answer, page, wants_page

# A link in a letter opens in place of the mailbox, as it would from a mail program; relative ones lead nowhere.
_FRAME = '<base target="_top">'


def mailbox_router(mailbox: Mailbox) -> Router:
    """Everything below ``/sandbox/mailbox``."""

    @get("/")
    async def letters(request: AnyRequest, to: FromQuery[str | None] = None) -> Response[str] | Response[bytes]:
        found = mailbox.letters(to)
        if wants_page(request):
            return page("mailbox.html", letters=found[::-1], to=to or "")
        return json_answer({"data": found})

    @get("/faults")
    async def fault() -> Response[bytes]:
        return json_answer(mailbox.fault)

    @post("/faults")
    async def set_fault(request: AnyRequest) -> Response[bytes]:
        mailbox.fault = await body_of(request, MailFault)
        return json_answer(mailbox.fault)

    @get("/{letter_id:str}")
    async def letter(request: AnyRequest, letter_id: FromPath[str]) -> Response[str] | Response[bytes]:
        found: Letter = mailbox.letter(letter_id)
        if wants_page(request):
            return page("letter.html", letter=found, framed=_FRAME + (found.html or ""))
        return json_answer(found)

    @get("/{letter_id:str}/attachments/{number:str}")
    async def attachment(letter_id: FromPath[str], number: FromPath[str]) -> Response[bytes]:
        file, content = mailbox.attachment(letter_id, number)
        return Response(
            content,
            media_type=file.type,
            headers={
                "Content-Disposition": f'attachment; filename="{_plain(file.name)}"',
                "X-Content-Type-Options": "nosniff",
            },
        )

    return Router("/sandbox/mailbox", route_handlers=[letters, fault, set_fault, letter, attachment])


def _plain(name: str) -> str:
    """A file name that no header can be broken with."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_" for letter in name)
