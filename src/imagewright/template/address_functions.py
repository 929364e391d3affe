"""ARM's functions of IP address ranges."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from imagewright.template.values import Value, number, text, wrong

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(value: Value) -> _Network:
    try:
        return ipaddress.ip_network(text(value), strict=False)
    except ValueError:
        raise wrong(f"'{value}' is not a range of addresses", "for example 10.0.0.0/16") from None


def _parse(value: Value) -> Value:
    network = _network(value)
    usable = _usable(network)
    parts = {
        "network": str(network.network_address),
        "netmask": str(network.netmask),
        "firstUsable": str(network[usable.start]),
        "lastUsable": str(network[usable.stop - 1]),
        "cidr": network.prefixlen,
    }
    return parts | ({"broadcast": str(network.broadcast_address)} if network.version == 4 else {})


def _usable(network: _Network) -> range:
    """The numbers of the addresses that hosts may have."""
    reserved = network.version == 4 and network.num_addresses > 2
    return range(1, network.num_addresses - 1) if reserved else range(network.num_addresses)


def _subnet(value: Value, prefix: Value, index: Value) -> str:
    network = _network(value)
    more = number(prefix) - network.prefixlen
    if more < 0 or prefix > network.max_prefixlen or not 0 <= number(index) < 2**more:
        raise wrong(f"{network} has no part {index} of the size /{prefix}")
    return str(type(network)((int(network[0]) + index * 2 ** (network.max_prefixlen - prefix), prefix)))


def _host(value: Value, index: Value) -> str:
    network = _network(value)
    usable = _usable(network)
    first = usable.start if network.version == 4 else 1
    at = first + number(index)
    if index < 0 or at >= usable.stop:
        raise wrong(f"{network} has no host {index}")
    return str(network[at])


ADDRESS_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "cidrHost": _host,
    "cidrSubnet": _subnet,
    "parseCidr": _parse,
}
