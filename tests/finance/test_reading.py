"""What staff see: the list, one account, one order, letters, events, tasks, the audit log."""

import httpx2

from tests.finance.world import World

SEARCHES = {
    "order": ("order", "trial"),
}


async def test_every_page_opens(lead: httpx2.AsyncClient, world: World) -> None:
    for path in (
        "/finance/",
        "/finance/accounts/a-anna",
        f"/finance/orders/{world.order}",
        "/finance/tasks",
        "/finance/letters",
        f"/finance/letters/{world.letter}",
        f"/finance/letters/{world.letter}/html",
        "/finance/events",
        "/finance/audit",
        "/finance/export.csv",
    ):
        answer = await lead.get(path)
        assert answer.status_code == 200, (path, answer.text)
