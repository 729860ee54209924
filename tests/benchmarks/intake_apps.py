"""Two others that take events in: one that only proves who sent them, and what a tutorial would write."""

import os
from datetime import UTC, datetime
from typing import Any

import msgspec
import stripe
from litestar import Litestar, Request, post
from sqlalchemy import DateTime, LargeBinary, Text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from webhooks.signature import verdict

SECRET = os.environ["BILLING_STRIPE_WEBHOOK_SECRETS"]


class Head(msgspec.Struct):
    """What is read of an event."""

    id: str
    type: str
    livemode: bool
    api_version: str | None = None
    account: str | None = None


_HEAD = msgspec.json.Decoder(Head)


@post("/webhooks/stripe", status_code=200)
async def verified(request: Request[Any, Any, Any]) -> bytes:
    """The floor: prove, read, and say yes with nothing kept."""
    body = await request.body()
    header = request.headers.get("stripe-signature", "").encode()
    if verdict(body, header, (SECRET,), datetime.now(UTC)) != "genuine":  # noqa: TID251
        raise ValueError("not genuine")
    _HEAD.decode(body)
    return b'{"received":true}'


class Base(DeclarativeBase):
    """Of the tutorial's one table."""


class Event(Base):
    """An event, as an entity."""

    __tablename__ = "tutorial_event"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@post("/webhooks/stripe", status_code=200)
async def constructed(request: Request[Any, Any, Any]) -> dict[str, bool]:
    """The library's own way, then look and add by the ORM."""
    body = await request.body()
    event = stripe.Webhook.construct_event(body, request.headers["stripe-signature"], SECRET)  # pyright: ignore[reportUnknownMemberType]
    async with _sessions() as session, session.begin():
        if await session.get(Event, event.id) is None:
            session.add(Event(id=event.id, type=event.type, body=body, received_at=datetime.now(UTC)))  # noqa: TID251
    return {"received": True}


_engine = create_async_engine(os.environ["BILLING_DATABASE_URL"], pool_size=16)
_sessions = async_sessionmaker(_engine, expire_on_commit=False)


async def _prepare() -> None:
    async with _engine.begin() as link:
        await link.run_sync(Base.metadata.create_all)


floor = Litestar([verified], openapi_config=None)
tutorial = Litestar([constructed], on_startup=[_prepare], openapi_config=None)
