"""Making the schema the way production does: by the migrations."""

import asyncio

from billing.migrations.run import upgrade


def make_schema(url: str) -> None:
    """Bring an empty database to the present schema."""
    asyncio.run(upgrade(url))
