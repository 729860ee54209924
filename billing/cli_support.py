"""The commands of whoever answers a parent's question or mends what went wrong: why a right holds, and once more."""

from datetime import UTC, datetime

import rich_click as click

from billing.catalog.rules import feature_list
from billing.cli_running import with_services
from billing.kernel.days import iso
from billing.kernel.errors import NotFound
from billing.wiring import Services
from entitlements.decision import Decision, decide_all
from entitlements.facts import PupilFacts, UnknownAccount
from entitlements.reader import FactsReader
from webhooks import service as inbox


@click.command()
@click.argument("account")
@click.argument("pupil")
@click.option("--at", "then", metavar="INSTANT", help="Another instant, RFC 3339 with a time zone; now by default.")
def explain(account: str, pupil: str, then: str | None) -> None:
    """Tell why each add-on is allowed or refused in the app, and from which facts. Changes nothing.

    Example: `billing explain a-1001 p-7 --at 2026-11-30T00:00:00+01:00`
    """
    asked = None if then is None else _instant(then)

    async def read(services: Services) -> list[str]:
        now = services.clock.now()
        facts = await FactsReader(services.database).account(account)
        if facts is None:
            raise UnknownAccount(account)
        of_pupil, at = facts.of(pupil), asked or now
        decisions = decide_all(feature_list(services.catalogue), of_pupil, "mobile", at, now)
        return [f"{account}, {pupil}, mobile, at {iso(at)}", *_facts(of_pupil, now), *map(_decision, decisions)]

    click.echo("\n".join(with_services(read)))


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not RFC 3339", param_hint="--at") from None
    if at.tzinfo is None:
        raise click.BadParameter("name a time zone, as in 2026-11-30T00:00:00+01:00", param_hint="--at")
    return at.astimezone(UTC)


def _facts(pupil: PupilFacts, now: datetime) -> list[str]:
    """Everything that the decisions are made of, one fact a line."""
    if not pupil.linked:
        return ["  the pupil is not linked to this account"]
    lines = [f"  blocked by the school since {iso(since)}: {name}" for name, since in sorted(pupil.blocks.items())]
    for grant in pupil.grants:
        end = grant.end(now)
        is_late = grant.until is not None and end != grant.until
        planned = ", runs on: its planned end was told to nobody" if is_late else ""
        until = iso(end) if end else "open"
        why = f", ended: {grant.end_reason}" if grant.end_reason else ""
        lines.append(f"  {grant.source} {grant.origin}: {iso(grant.since)} to {until}{planned}{why}")
    return lines or ["  no right was ever given"]


def _decision(decision: Decision) -> str:
    verdict = "allowed" if decision.allowed else "refused"
    until = iso(decision.valid_until) if decision.valid_until else "no known change"
    sources = ", ".join(each.id for each in decision.sources) or "none"
    return f"{decision.feature}: {verdict}, {decision.reason}; until {until}; sources: {sources}"


@click.command()
@click.argument("event")
def replay(event: str) -> None:
    """Handle a kept event of Stripe's again, as if it had just come: its object is read anew, no effect happens twice.

    Example: `billing replay evt_1SandboxExample`
    """

    async def again(services: Services) -> None:
        async with services.database.begin() as session:
            if not await inbox.replay(session, event, services.clock.now()):
                raise NotFound("There is no such event, or its body could never be read.")

    with_services(again)
    click.echo(f"{event} is new again; a worker handles it within 30 seconds.")
