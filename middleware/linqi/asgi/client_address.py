"""The network of a client, by which its requests are counted."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from linqi.errors import ConfigurationError

__all__ = ["Network", "client_network", "read_networks"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
"""IPv4 addresses behind a translator (RFC 6052, section 2.1)."""
_HOST_BITS: Final = 64


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that `texts` name, such as ``10.0.0.0/8`` or ``192.0.2.7``.

    Raises:
        ConfigurationError: At least one text is neither an address nor a network.

    """
    found: list[Network] = []
    faults = ["proxies is a string; give a list of networks"] if isinstance(texts, str) else []
    for text in () if faults else texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            faults.append(f"{text!r} is not a network such as '10.0.0.0/8' or '192.0.2.7'")
    if faults:
        raise ConfigurationError(faults)
    return tuple(found)


def client_network(host: object, proxies: Sequence[Network]) -> str:
    """Return the network by which a client is counted, or "" if its address identifies none.

    An IPv4 address, also one written as an IPv6 address, counts by itself. An IPv6 address counts
    by its /64, which is what one subscriber gets. A missing, loopback or unspecified address and
    one of `proxies` identify no client, because many clients share them.
    """
    address = _parsed(host)
    if address is None or address.is_loopback or address.is_unspecified:
        return ""
    if any(address in network for network in proxies):
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        prefix = int(address) >> _HOST_BITS << _HOST_BITS
        return f"{ipaddress.IPv6Address(prefix)}/{_HOST_BITS}"
    return str(address)


def _parsed(host: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    if not isinstance(host, str):
        return None
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
