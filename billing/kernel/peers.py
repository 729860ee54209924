"""Who asks: the address that connects; where that is a proxy of ours, the nearest before it that is none (S51)."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Final


class Proxies:
    """Our own proxies: the addresses and networks of a list with commas, such as `10.0.0.0/8, 192.0.2.7`. Raises
    ValueError."""

    def __init__(self, listed: str = "") -> None:
        self._networks = tuple(ip_network(part.strip()) for part in listed.split(",") if part.strip())

    def peer_of(self, client: str, forwarded: Iterable[str]) -> str:
        """Whoever stands before the last of them, by `X-Forwarded-For`. Each proxy adds at the end from whom it heard;
        what stands further left was invented by anybody, and so was all of it when none of ours connects."""
        peer = client
        for hop in reversed(",".join(forwarded).split(",")):
            if not self._are(peer):
                break
            try:
                peer = str(ip_address(hop.strip()))
            except ValueError:
                break
        return peer

    def _are(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


NO_PROXIES: Final = Proxies()
