"""Whom mail can reach, to be asked of many accounts in one statement of another room."""

from sqlalchemy import ColumnElement, Select, select

from billing.accounts.tables import AccountRow


def reachable(account: ColumnElement[str]) -> Select[bool]:
    """Whether mail to the account of a row came back (R29); nothing where it is not confirmed (R26)."""
    has_bounced = AccountRow.bounced_at.is_not(None).label("has_bounced")
    return select(has_bounced).where(AccountRow.account == account, AccountRow.confirmed_at.is_not(None))
