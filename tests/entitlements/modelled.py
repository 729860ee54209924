"""A second telling of who has what, as plain dictionaries: what `entitlements.service` does, without a database."""

from collections.abc import Callable, Collection
from datetime import datetime

import msgspec

from entitlements.facts import AccountFacts, EndReason, Grant, PupilFacts


class Modelled:
    """Accounts, their pupils in the order of linking, schools' blocks, grants by their origin."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, tuple[datetime, bool]]] = {}
        self.schools: dict[str, str | None] = {}
        self.blocks: dict[str, dict[str, datetime]] = {}
        self.grants: dict[str, list[Grant]] = {}

    def put_account(self, account: str) -> None:
        self.accounts.setdefault(account, {})

    def remove_account(self, account: str) -> None:
        pupils = self.accounts.pop(account, {})
        self._forget_idle(pupils)

    def put_link(self, account: str, pupil: str, school: str | None, at: datetime) -> None:
        self.accounts[account].setdefault(pupil, (at, False))
        self.schools[pupil] = school or self.schools.get(pupil)

    def drop_link(self, account: str, pupil: str) -> None:
        self.accounts.get(account, {}).pop(pupil, None)
        self._forget_idle([pupil])

    def set_notice_pending(self, account: str, pupil: str, *, pending: bool) -> None:
        links = self.accounts.get(account, {})
        if pupil in links:
            links[pupil] = links[pupil][0], pending

    def put_school_blocks(self, school: str, features: Collection[str], at: datetime) -> None:
        before = self.blocks.get(school, {})
        self.blocks[school] = {feature: before.get(feature, at) for feature in features}

    def add_grant(self, pupil: str, grant: Grant) -> None:
        self.grants.setdefault(pupil, []).append(grant)

    def end_grants(self, origin: str, at: datetime, reason: EndReason | None) -> None:
        self._replace(
            origin,
            lambda grant: grant.until is None or grant.until > at or not grant.bound,
            lambda grant: msgspec.structs.replace(
                grant, since=min(grant.since, at), until=at, bound=True, end_reason=reason
            ),
        )

    def move_end(self, origin: str, until: datetime | None, *, bound: bool) -> None:
        self._replace(
            origin,
            lambda grant: grant.end_reason is None,
            lambda grant: msgspec.structs.replace(grant, until=until, bound=bound),
        )

    def remove_grants(self, origin: str) -> None:
        for pupil in list(self.grants):
            self.grants[pupil] = [grant for grant in self.grants[pupil] if grant.origin != origin]
        self._forget_idle(list(self.schools))

    def facts(self, account: str) -> AccountFacts | None:
        """What is to be told of an account."""
        if account not in self.accounts:
            return None
        links = sorted(self.accounts[account].items(), key=lambda link: (link[1][0], link[0]))
        return AccountFacts(account, tuple(self._pupil(pupil, pending) for pupil, (_, pending) in links))

    def _pupil(self, pupil: str, pending: bool) -> PupilFacts:
        blocks = self.blocks.get(self.schools.get(pupil) or "", {})
        return PupilFacts(pupil, tuple(self.grants.get(pupil, ())), dict(blocks), pending)

    def _replace(self, origin: str, which: Callable[[Grant], bool], how: Callable[[Grant], Grant]) -> None:
        for pupil, grants in self.grants.items():
            self.grants[pupil] = [how(grant) if grant.origin == origin and which(grant) else grant for grant in grants]

    def _forget_idle(self, pupils: Collection[str]) -> None:
        linked = {pupil for links in self.accounts.values() for pupil in links}
        for pupil in pupils:
            if pupil not in linked and not self.grants.get(pupil):
                self.schools.pop(pupil, None)
