"""The floors: the same framework, server and parameters; the same bytes as a constant, with nothing around.

The bytes are the product's own answers, asked for before the run and left in BENCH_ANSWERS. A batch's floor decodes the
same request first. With BENCH_UNDISTURBED the process is scheduled as the product's are.
"""

import os
from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar, Request, get, post
from litestar.enums import MediaType
from litestar.params import FromPath, FromQuery

from billing.kernel.serving import undisturbed

_FOLDER = Path(os.environ["BENCH_ANSWERS"])
_ANSWERS = {path.stem: path.read_bytes() for path in _FOLDER.glob("*.json")}
ONE, FULL, COMPACT = (_ANSWERS[name] for name in ("one", "full", "compact"))


class Check(msgspec.Struct):
    account: str
    feature: str
    pupil: str | None = None


class Batch(msgspec.Struct):
    channel: str
    checks: list[Check]
    answer: str = "full"


_decoder = msgspec.json.Decoder(Batch)


@get("/v1/accounts/{account:str}/entitlements/{feature:str}", media_type=MediaType.JSON)
async def one(account: FromPath[str], feature: FromPath[str], channel: FromQuery[str], pupil: FromQuery[str]) -> bytes:
    """Say the same, whoever asks."""
    del account, feature, channel, pupil
    return ONE


@post("/v1/entitlements/check", media_type=MediaType.JSON, status_code=200)
async def many(request: Request[Any, Any, Any]) -> bytes:
    """Read the questions, and say the same."""
    batch = _decoder.decode(await request.body())
    return COMPACT if batch.answer == "compact" else FULL


app = Litestar([one, many], openapi_config=None)
if os.environ.get("BENCH_UNDISTURBED"):
    undisturbed()
