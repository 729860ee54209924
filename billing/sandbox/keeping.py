"""Small values the sandbox makes once and keeps in files: secrets and port numbers."""

import socket
from collections.abc import Callable
from pathlib import Path

from billing.sandbox.embedded import EmbeddedServerError


def kept(place: Path, make: Callable[[], str]) -> str:
    """A value made once and kept in a file for our eyes only."""
    if not place.exists():
        aside = place.with_name(f"{place.name}.new")
        aside.touch(mode=0o600)
        aside.write_text(make(), encoding="utf-8")
        aside.rename(place)
    return place.read_text(encoding="utf-8").strip()


def kept_port(place: Path) -> int:
    """A port of the loopback interface: the one kept in the file while nobody else has it, else a free one."""
    wanted = int(kept(place, lambda: "0"))
    for port in (wanted, 0) if wanted else (0,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
            place.write_text(str(found), encoding="ascii")
            return found
    raise EmbeddedServerError("no free port on 127.0.0.1")
