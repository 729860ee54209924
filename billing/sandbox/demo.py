"""The seeded demo: an API key, and families in every state, made through the product's own front doors.

``python -m billing.sandbox.demo FOLDER``, with the children's environment.
"""

import asyncio
import sys
from pathlib import Path

from billing.catalog.push import push
from billing.kernel import keys
from billing.kernel.keys import SCOPES
from billing.kernel.settings import load
from billing.sandbox.families import Families
from billing.wiring import Services, build


async def seed(services: Services, folder: Path) -> None:
    """Everything the demo shows. The key's file comes last: while it is missing, nothing has been seeded."""
    at = services.clock.now()
    async with services.database.begin() as session:
        _, key = keys.create_key(session, at, "sandbox", SCOPES, mode="test")
    await push(services.gateway, services.catalogue)
    async with Families(services.settings.public_url, services.settings.sandbox_outside, key) as families:
        await families.live()
    place = folder / "api-key.new"
    place.write_text(key, encoding="utf-8")
    place.chmod(0o600)
    place.rename(folder / "api-key")


async def _main(folder: Path) -> None:
    services = build(load())
    try:
        await seed(services, folder)
    finally:
        await services.close()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
