"""The process that holds what is outside.

``python -m billing.sandbox.outside_process FOLDER PORT HTTP_PORT SMTP_PORT``; the second is the public one.
"""

import asyncio
import sys
from pathlib import Path

from billing.kernel.clock import SharedClock
from billing.sandbox.conductor import create_conductor
from billing.sandbox.home import Home
from billing.sandbox.mailbox import Mailbox
from billing.sandbox.openid import OpenIdProvider
from billing.sandbox.outside import STRIPE, Facts, Outside
from billing.sandbox.serving import serve_http
from billing.sandbox.stripe import create_stripe


async def serve(home: Home, http_port: int, smtp_port: int) -> None:
    """Runs until SIGTERM or SIGINT."""
    clock = SharedClock(home.clock)
    stripe = create_stripe(
        home.folder / "stripe.sqlite",
        clock.now,
        webhook_url=f"{home.public_url}/webhooks/stripe",
        webhook_secret=home.webhook_secret,
        public_base=home.public_url + STRIPE,
    )
    mailbox = Mailbox(home.folder / "mailbox.sqlite", clock.now)
    issuer = f"{home.public_url}/sandbox/openid"
    outside = Outside(
        conductor=create_conductor(clock, stripe),
        stripe=stripe.app,
        mailbox=mailbox,
        provider=OpenIdProvider(issuer, home.oidc_client, home.folder / "openid-key.json", clock.now),
        facts=Facts(home.public_url, home.webhook_secret, home.api_key),
    )
    smtp = await mailbox.serve("127.0.0.1", smtp_port)
    deliveries = asyncio.create_task(stripe.run())
    try:
        await serve_http(outside, http_port, until=deliveries)  # without deliveries this is no Stripe: start again
    finally:
        deliveries.cancel()
        smtp.close()
        mailbox.close()
        stripe.close()


if __name__ == "__main__":
    asyncio.run(serve(Home(Path(sys.argv[1]), int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])))
