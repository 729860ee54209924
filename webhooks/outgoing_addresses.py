"""Which addresses may be called: a public one, by https (S13, S14). Pure; nothing is resolved here.

`loopback` is for a sandbox, whose receivers run on the same machine: there, and only there, http to this machine is
allowed too.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import msgspec

LONGEST_URL: Final = 2048
PORTS: Final = frozenset({443, 8443})

_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:[/?][!\"$-\[\]-~]*)?)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_HERE = re.compile(r"(^|\.)localhost$")
_INSIDE = re.compile(r"(^|\.)(local|localdomain|internal|intranet|lan|home|corp|arpa|onion)$")

_NOT_PUBLIC_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
"""IANA's special purposes, multicast, and a cloud's own service behind an address that looks public."""
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
"""Of what is global: protocol assignments (Teredo among them), examples, 6to4. Mapped, translated, unique local,
link-local and multicast addresses are all outside `_PUBLIC_6`."""


class Target(msgspec.Struct, frozen=True):
    """A URL, taken apart once: nobody reads it a second way later. `host` is a name or an address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default(self.scheme) else f"{host}:{self.port}"


def parts_of(url: str) -> Target | None:
    """The parts of a plain http(s) URL; None for anything else: user names, fragments, blanks, letters beyond ASCII."""
    found = _URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if found is None or (found["host"].startswith("[") and not isinstance(_literal(found["host"][1:-1]), IPv6Address)):
        return None
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else _default(scheme)
    path = found["path"] if found["path"].startswith("/") else "/" + found["path"]
    return Target(scheme, found["host"].lower().strip("[]"), port, path) if 0 < port < 2**16 else None


def _default(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def fault_of(url: str, *, loopback: bool) -> str | None:
    """Why an endpoint must not stand at `url`, in words; None: it may, if its name leads to a public address."""
    target = parts_of(url)
    if target is None:
        return "Not a plain URL: https://name/path, without user name or fragment, in ASCII"
    literal = _literal(target.host)
    is_here = bool(_HERE.search(target.host)) or (literal is not None and literal.is_loopback)
    if is_here and loopback:
        return None
    if target.scheme != "https":
        return "Only https is called"
    if target.port not in PORTS:
        return "Only ports 443 and 8443 are called"
    if literal is not None:
        return None if may_call(literal, loopback=False) else "Not a public address"
    last = target.host.rstrip(".").rpartition(".")
    if _NUMBER.fullmatch(last[2]) or ":" in target.host:
        return "An address in an unusual spelling"
    if not last[0] or is_here or _INSIDE.search(target.host.rstrip(".")):
        return "Not a public name"
    return None


def may_call(address: IPv4Address | IPv6Address, *, loopback: bool) -> bool:
    """Whether a connection to this very address may be made (S14)."""
    if isinstance(address, IPv6Address):
        is_public = address in _PUBLIC_6 and not any(address in block for block in _NOT_PUBLIC_6)
    else:
        is_public = not any(address in block for block in _NOT_PUBLIC_4)
    return is_public or (loopback and address.is_loopback)


def checked(found: list[str], *, loopback: bool) -> list[str]:
    """The addresses a name led to, if every one of them may be called; else none: a name that leads inside even once is
    not called at all (S15)."""
    addresses = [_literal(text) for text in found]
    if not all(address is not None and may_call(address, loopback=loopback) for address in addresses):
        return []
    return [str(address) for address in addresses]


def _literal(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
