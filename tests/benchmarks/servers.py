"""The contenders' servers: one worker each, started as in production and warmed by questions."""

import time
from contextlib import ExitStack

import msgspec
from joserfc.jwk import ECKey

from billing.kernel.settings import PREFIX, Standing
from tests.benchmarks.contenders import Where, batch, one
from tests.benchmarks.load import Wrong, answer_of
from tests.benchmarks.place import Place, Server, granian, ours
from tests.benchmarks.seed import PEER, PEER_PYTHON, peer_environment

PATIENCE = 120
"""Seconds a server may take until it answers its first question."""


def start(place: Place, stack: ExitStack, wanted: set[Where]) -> dict[Where, Server]:
    """Start the servers that are wanted, the product always; the floors are told what the product answers."""
    product = place.environment(BILLING_SIGNING_KEYS=_signing_keys(), BILLING_METRICS_PUBLIC="true")
    servers: dict[Where, Server] = {}
    servers["product"] = stack.enter_context(place.serving(ours(), product))
    answers = place.folder / "answers"
    answers.mkdir(exist_ok=True)
    for name, asked in (("one", one), ("full", batch("full")), ("compact", batch("compact"))):
        (answers / f"{name}.json").write_bytes(patiently(servers["product"], asked(place.keys[0], 1)))
    floor = {**product, "BENCH_ANSWERS": str(answers)}
    ways: dict[Where, tuple[list[str], dict[str, str]]] = {
        "floor": (granian("tests.benchmarks.floor:app"), floor),
        "undisturbed": (granian("tests.benchmarks.floor:app"), {**floor, "BENCH_UNDISTURBED": "1"}),
        "desk": (ours("entitlements"), _standing(product)),
        "small": (ours("entitlements"), {**_standing(product), "BILLING_DATABASE_URL": place.postgres.url("small")}),
        "naive": (granian("tests.benchmarks.naive:app"), product),
        "peer": (_gunicorn(), peer_environment(place)),
    }
    for where, (argv, environment) in ways.items():
        if where in wanted:
            servers[where] = stack.enter_context(place.serving(argv, environment))
    return servers


def patiently(server: Server, request: bytes) -> bytes:
    """The body of a good answer, as soon as there is one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return answer_of(server.port, request)
        except (Wrong, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def desk_environment(place: Place) -> dict[str, str]:
    """The settings of a process that only answers about rights."""
    return _standing(place.environment(BILLING_SIGNING_KEYS=_signing_keys()))


def _standing(environment: dict[str, str]) -> dict[str, str]:
    """What a process that only answers about rights is told, and nothing more."""
    known = {PREFIX + field.name.upper() for field in msgspec.structs.fields(Standing)}
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX) or name in known}


def _signing_keys() -> str:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "bench"})
    return msgspec.json.encode({"keys": [key.as_dict(private=True)]}).decode()


def _gunicorn() -> list[str]:
    """One process of eight threads: what its documentation advises for a program that waits for its database."""
    return [str(PEER_PYTHON), "-m", "gunicorn", f"{PEER}:application", "--bind", "127.0.0.1:{port}", "--workers", "1",
            "--worker-class", "gthread", "--threads", "8", "--keep-alive", "60", "--log-level", "error"]  # fmt: skip
