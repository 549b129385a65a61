"""Which network addresses a run may reach: the rule for endpoints people type, on both sides of the queue.

Link-local and cloud metadata addresses are refused to everyone, in every spelling (IPv4-mapped, 6to4, NAT64 and
Teredo forms are unwrapped). Private ranges need `allow_hosts`; loopback needs the owner of the machine.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import socket
import sys
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Literal
from urllib.parse import urlsplit

from jobs.errors import HostRefused, InvalidValue

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_CONNECTS = frozenset({"socket.connect", "socket.sendto"})

_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "0.0.0.0/8",
        "::/128",
    )
)
_CARRIERS = tuple(
    ipaddress.IPv6Network(network)
    for network in ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")  # NAT64, SIIT, IPv4-compatible
)
"""IPv6 forms that carry an IPv4 address in their last 32 bits."""
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network) for network in ("64:ff9b:1::/48", "fec0::/10", "192.0.0.0/24", "168.63.129.16/32")
)
"""What counts as global by the registries and can lead inside: local NAT64, site-local, cloud services."""


class AddressRule:
    """The rule for one run. `network` is the ModelTarget's."""

    def __init__(self, network: Literal["registered", "console", "checked"], allow_hosts: Iterable[str] = ()) -> None:
        self.network = network
        self._networks, self._patterns = _split(allow_hosts)

    def allows(self, address: str) -> bool:
        """Tell whether a socket may connect to this IP address."""
        ip = _unwrap(ipaddress.ip_address(address.partition("%")[0]))
        if any(ip in network for network in _NEVER if network.version == ip.version):
            return False
        if self.network == "registered" or _is_public(ip):
            return True
        if ip.is_loopback and self.network == "console":
            return True
        return any(ip in network for network in self._networks if network.version == ip.version)

    def check_url(self, url: str) -> None:
        """Raise `InvalidValue` for what is no http(s) URL, `HostRefused` for a host outside the rule."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise InvalidValue(field="api_url", value=url, reason="url") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise InvalidValue(field="api_url", value=url, reason="url")
        host = parts.hostname
        if any(fnmatch.fnmatchcase(host, pattern) for pattern in self._patterns):
            return
        for address in _addresses(host):
            if not self.allows(address):
                raise HostRefused(host=host)


def guard_sockets(rule: AddressRule, spare: Iterable[tuple[str, int]]) -> None:
    """Enforce the rule on every connection this process makes from now on; it cannot be taken back.

    `spare` are addresses the process itself lives on (Redis, the artifact store). A name that resolved to a
    public address when it was checked and to a private one when it is used (DNS rebinding) ends here.
    """
    spared = frozenset(spare)
    sys.addaudithook(lambda event, args: check_connection(rule, spared, *args) if event in _CONNECTS else None)


def check_connection(rule: AddressRule, spared: AbstractSet[tuple[str, int]], sock: socket.socket, to: Any) -> None:
    """Raise `PermissionError` where a socket is about to reach an address outside the rule."""
    if sock.family not in {socket.AF_INET, socket.AF_INET6} or tuple(to[:2]) in spared:
        return
    try:
        allowed = rule.allows(to[0])
    except ValueError:  # a name: connect() would resolve it itself, past this check
        allowed = False
    if not allowed:
        raise PermissionError(f"Scopebot's address rule refuses a connection to {to[0]}")


def resolve(host: str, port: int) -> list[tuple[str, int]]:
    """Return the addresses of a service of our own, to spare from the guard; empty where it cannot be resolved."""
    return [(address, port) for address in _addresses(host)]


def _addresses(host: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except OSError:
        return []  # the worker's own check says that the endpoint cannot be reached


def _is_public(ip: IPAddress) -> bool:
    special = any(ip in network for network in _NOT_PUBLIC if network.version == ip.version)
    return ip.is_global and not ip.is_multicast and not special


def _unwrap(ip: IPAddress) -> IPAddress:
    """Return the IPv4 address inside an IPv6 form that carries one."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return ip.ipv4_mapped
        if ip.sixtofour:
            return ip.sixtofour
        if ip.teredo:
            return ip.teredo[1]
        if not ip.is_loopback and not ip.is_unspecified and any(ip in carrier for carrier in _CARRIERS):
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _split(
    allow_hosts: Iterable[str],
) -> tuple[list[ipaddress.IPv4Network | ipaddress.IPv6Network], list[str]]:
    networks, patterns = [], []
    for entry in allow_hosts:
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            patterns.append(entry.lower())
    return networks, patterns
