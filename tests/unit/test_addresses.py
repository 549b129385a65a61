"""The address rule: no spelling of a forbidden address gets through, and what may be reached is reached."""

from __future__ import annotations

import ipaddress
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import addresses
from jobs.addresses import AddressRule, check_connection
from jobs.errors import HostRefused, InvalidValue

ROOT = Path(__file__).resolve().parents[2]
Network = Literal["registered", "console", "checked"]
NETWORKS: tuple[Network, ...] = ("registered", "console", "checked")
METADATA = ["169.254.169.254", "fd00:ec2::254", "100.100.100.200"]
NEVER = [*METADATA, "169.254.0.1", "fe80::1", "0.0.0.0", "0.1.2.3", "::"]
PRIVATE = ["10.0.0.1", "10.255.255.255", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "198.18.0.1"]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"]
EVERYTHING = ("0.0.0.0/0", "::/0")

bits = st.integers


def ipv4(text: str) -> int:
    return int(ipaddress.IPv4Address(text))


def v6(number: int) -> str:
    return str(ipaddress.IPv6Address(number))


WRAPPINGS: dict[str, st.SearchStrategy[Callable[[int], str]]] = {
    "plain": st.just(lambda ip: str(ipaddress.IPv4Address(ip))),
    "ipv4_mapped": st.just(lambda ip: v6((0xFFFF << 32) | ip)),
    "6to4": st.builds(lambda rest: lambda ip: v6((0x2002 << 112) | (ip << 80) | rest), bits(0, 2**80 - 1)),
    "nat64": st.just(lambda ip: v6((0x64FF9B << 96) | ip)),
    "teredo": st.builds(
        lambda server, rest: lambda ip: v6((0x20010000 << 96) | (server << 64) | (rest << 32) | (ip ^ 0xFFFFFFFF)),
        bits(0, 2**32 - 1),
        bits(0, 2**32 - 1),
    ),
}


@st.composite
def spellings(draw: st.DrawFn, address: str) -> str:
    """Write an address in one of the ways a resolver or a person may give it."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        address = draw(st.sampled_from(sorted(WRAPPINGS)).flatmap(WRAPPINGS.get))(int(parsed))  # type: ignore[misc]
    form = ipaddress.ip_address(address)
    if isinstance(form, ipaddress.IPv6Address):
        address = draw(st.sampled_from([form.compressed, form.exploded, form.exploded.upper()]))
        address += draw(st.sampled_from(["", "%eth0", "%1"]))
    return address


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("address", NEVER)
@given(data=st.data())
def test_no_spelling_of_a_metadata_or_link_local_address_gets_through_for_anyone(
    network: Network, address: str, data: st.DataObject
) -> None:
    assert not AddressRule(network, EVERYTHING).allows(data.draw(spellings(address)))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.255.254", "::1", *PRIVATE])
@given(data=st.data())
def test_no_spelling_of_a_loopback_or_private_address_gets_through_for_chat(address: str, data: st.DataObject) -> None:
    assert not AddressRule("checked").allows(data.draw(spellings(address)))


@given(st.integers(ipv4("169.254.0.0"), ipv4("169.254.255.255")), st.data())
def test_the_whole_link_local_range_is_refused_in_every_spelling(number: int, data: st.DataObject) -> None:
    address = data.draw(spellings(str(ipaddress.IPv4Address(number))))
    assert not AddressRule("registered", EVERYTHING).allows(address)


@given(st.integers(0, 2**32 - 1), st.data())
def test_every_wrapping_of_an_ipv4_address_is_judged_as_the_address_itself(number: int, data: st.DataObject) -> None:
    address = str(ipaddress.IPv4Address(number))
    wrapped = data.draw(spellings(address))
    for network in NETWORKS:
        rule = AddressRule(network, ["10.0.0.0/8"])
        assert rule.allows(wrapped) == rule.allows(address)


@given(st.integers(0, 2**32 - 1))
def test_what_chat_may_reach_is_public(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    if AddressRule("checked").allows(str(address)):
        assert address.is_global


@pytest.mark.parametrize(
    "address",
    ["::169.254.169.254", "::127.0.0.1", "::ffff:0:169.254.169.254", "64:ff9b:1::a9fe:a9fe", "fec0::1"],
)
def test_further_forms_that_can_lead_inside_are_refused_to_chat(address: str) -> None:
    assert not AddressRule("checked").allows(address)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached_by_everyone(network: Network, address: str) -> None:
    assert AddressRule(network).allows(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_reached_by_allow_hosts_or_registration_only(address: str) -> None:
    for network in ("console", "checked"):
        assert not AddressRule(network).allows(address)
        assert AddressRule(network, [address]).allows(address)
        assert AddressRule(network, [f"{address}/{8 if '.' in address else 16}"]).allows(address)
        assert not AddressRule(network, ["203.0.113.0/24", "fd99::/64"]).allows(address)
    assert AddressRule("registered").allows(address)


@pytest.mark.parametrize(("network", "allowed"), [("registered", True), ("console", True), ("checked", False)])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_for_the_owner_of_the_machine(address: str, network: Network, *, allowed: bool) -> None:
    assert AddressRule(network).allows(address) is allowed


def test_what_is_no_address_is_an_error_and_not_allowed() -> None:
    with pytest.raises(ValueError, match="localhost"):
        AddressRule("registered").allows("localhost")


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/v1", "http://127.1/v1", "http://2130706433/v1", "http://0x7f.1/v1", "http://0177.0.0.1/v1",
        "http://[::1]/v1", "http://[::ffff:127.0.0.1]/v1", "http://localhost:8000/v1", "http://LOCALHOST/v1",
        "http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/", "https://100.100.100.200/",
        "http://10.0.0.5:8000/v1", "http://[fe80::1%25eth0]/", "http://[64:ff9b::a9fe:a9fe]/",
    ],
)  # fmt: skip
def test_a_url_that_leads_inside_is_refused_to_chat(url: str) -> None:
    with pytest.raises(HostRefused):
        AddressRule("checked").check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://8.8.8.8/", "file:///etc/passwd", "8.8.8.8/v1", "http:///v1", "http://", "", "javascript:alert(1)",
        "http://user@8.8.8.8/", "http://user:password@8.8.8.8/", "http://8.8.8.8@127.0.0.1/", "gopher://8.8.8.8/",
    ],
)  # fmt: skip
def test_what_is_no_plain_http_url_is_an_invalid_value(url: str) -> None:
    with pytest.raises(InvalidValue):
        AddressRule("registered", ["*"]).check_url(url)


@pytest.mark.parametrize("url", ["http://[::1", "http://[not-an-address]/v1"])
def test_a_url_with_broken_brackets_is_an_invalid_value(url: str) -> None:
    with pytest.raises(InvalidValue):
        AddressRule("checked").check_url(url)


@given(st.text(max_size=30))
def test_any_text_as_a_host_of_allow_hosts_can_be_read(entry: str) -> None:
    assert not AddressRule("checked", [entry] if "/" not in entry else []).allows("169.254.169.254")


def resolving(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> None:
    """Let the resolver know these names and no other."""

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(0, 0, 0, "", (address, 0)) for address in names[host]]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)


def test_a_name_is_judged_by_every_address_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {"good.example": ["8.8.8.8"], "mixed.example": ["8.8.8.8", "10.0.0.1"]})
    AddressRule("checked").check_url("https://good.example/v1")
    with pytest.raises(HostRefused) as caught:
        AddressRule("checked").check_url("https://mixed.example/v1")
    assert caught.value.params == {"host": "mixed.example"}


def test_a_pattern_of_allow_hosts_allows_its_names_in_any_case_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {name: ["10.0.0.1"] for name in ("gpu.corp.net", "corp.net.evil.example", "corp.net")})
    rule = AddressRule("checked", ["*.Corp.net"])
    rule.check_url("http://gpu.corp.net:8000/v1")
    rule.check_url("http://GPU.CORP.NET:8000/v1")
    for name in ("corp.net.evil.example", "corp.net"):
        with pytest.raises(HostRefused):
            rule.check_url(f"http://{name}/v1")


def test_a_name_nobody_knows_is_left_to_the_workers_own_check(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, {})
    AddressRule("checked").check_url("https://unknown.example/v1")


# the guard

OURS = frozenset({("127.0.0.1", 6379)})


@pytest.mark.parametrize(
    ("family", "to"),
    [
        (socket.AF_INET, ("8.8.8.8", 443)), (socket.AF_INET6, ("2606:4700:4700::1111", 443, 0, 0)),
        (socket.AF_INET, ("127.0.0.1", 6379)), (socket.AF_UNIX, "/run/postgresql/.s.PGSQL.5432"),
    ],
    ids=["public", "public v6", "our own Redis", "a socket of this host"],
)  # fmt: skip
def test_a_connection_within_the_rule_is_let_through(family: socket.AddressFamily, to: Any) -> None:
    with socket.socket(family) as sock:
        check_connection(AddressRule("checked"), OURS, sock, to)


@pytest.mark.parametrize(
    ("family", "to"),
    [
        (socket.AF_INET, ("127.0.0.1", 6380)), (socket.AF_INET, ("10.0.0.1", 443)), (socket.AF_INET, ("localhost", 80)),
        (socket.AF_INET, ("example.com", 443)), (socket.AF_INET6, ("::ffff:169.254.169.254", 80, 0, 0)),
    ],
    ids=["another port of this host", "private", "a local name", "any name", "metadata in v6"],
)  # fmt: skip
def test_a_connection_outside_the_rule_or_to_a_name_is_refused_by_its_address(
    family: socket.AddressFamily, to: Any
) -> None:
    with socket.socket(family) as sock, pytest.raises(PermissionError, match=f"a connection to {to[0]}"):
        check_connection(AddressRule("checked"), OURS, sock, to)


# in place: an audit hook cannot be taken back, so each runs in a process of its own

GUARDED = """
import json, socket, sys
from jobs.addresses import AddressRule, guard_sockets
network, allow_hosts, spare, targets = json.loads(sys.argv[1])
guard_sockets(AddressRule(network, allow_hosts), [tuple(one) for one in spare])
said = []
for host, port in targets:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.settimeout(2)
        try:
            sock.connect((host, port))
            said.append("connected")
        except PermissionError as error:
            said.append(str(error))
        except OSError as error:
            said.append(type(error).__name__)
print(json.dumps(said))
"""


def guarded(network: Network, targets: list[Any], *, allow: tuple[str, ...] = (), spare: Any = ()) -> list[str]:
    given_ = json.dumps([network, allow, spare, targets])
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, given_], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    said: list[str] = json.loads(done.stdout)
    return said


def test_the_guard_refuses_at_connect_time_what_the_rule_refuses_and_spares_our_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, socket.create_server(("127.0.0.1", 0)) as inside:
        mine, other = ours.getsockname(), inside.getsockname()
        said = guarded("checked", [mine, other, ["localhost", other[1]], ["169.254.169.254", 80]], spare=[mine])
        inside.settimeout(0.1)
        with pytest.raises(TimeoutError):
            inside.accept()
    refused = "Scopebot's address rule refuses a connection to"
    assert said[0] == "connected"
    assert said[1] == f"{refused} 127.0.0.1"
    assert said[3] == f"{refused} 169.254.169.254"
    assert said[2] != "connected", "a name given straight to connect() passes the guard"


def test_the_guard_lets_the_owner_of_the_machine_and_allowed_hosts_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = list(server.getsockname())
        assert guarded("console", [target]) == ["connected"]
        assert guarded("registered", [target]) == ["connected"]
        assert guarded("checked", [target], allow=("127.0.0.0/8",)) == ["connected"]
