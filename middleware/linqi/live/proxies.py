"""The proxies of the environment: on the way to issuers, and in front of the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from linqi.jwks.url import is_loopback_url
from linqi.live.probe import Environment, ProbeResult

__all__ = ["look_at_proxies", "proxy_of"]

_FORWARDED: Final = "FORWARDED_ALLOW_IPS"
"""Read by uvicorn and gunicorn: from which addresses they accept X-Forwarded-For."""


def proxy_of(url: str, variables: Mapping[str, str]) -> str:
    """Return the host and port of the proxy by which `url` is fetched; empty for none.

    Args:
        url: What is fetched.
        variables: The environment; lower-case names come first, as curl has them.

    """
    found = urlsplit(url)
    scheme = found.scheme.lower()
    named = _variable(f"{scheme}_proxy", variables) or _variable("all_proxy", variables)
    if not named or _is_excepted(found.hostname or "", found.port, variables):
        return ""
    proxy = urlsplit(named if "//" in named else f"//{named}")
    return proxy.netloc.rpartition("@")[2]


def _variable(name: str, variables: Mapping[str, str]) -> str:
    return variables.get(name) or variables.get(name.upper()) or ""


def _is_excepted(host: str, port: int | None, variables: Mapping[str, str]) -> bool:
    for entry in _variable("no_proxy", variables).split(","):
        name = entry.strip().lower().lstrip(".")
        if name == "*":
            return True
        if name and (host in (name, f"[{name}]") or host.endswith(f".{name}")):
            return True
        if port is not None and name == f"{host}:{port}":
            return True
    return False


async def look_at_proxies(environment: Environment, result: ProbeResult) -> None:
    """Report by which proxy keys are fetched, and from whom the server accepts client addresses."""
    for table in environment.config.issuers:
        url = table.jwks_url or table.discovery_url or table.issuer or ""
        if table.keys_file or table.keys_env or not url.startswith("http"):
            continue
        proxy = proxy_of(url, environment.variables)
        way = f"through the proxy {proxy}" if proxy else "directly"
        result.saw(f"the keys of {table.issuer} are fetched {way}")
        if proxy and is_loopback_url(url):
            result.found(
                "warning",
                "proxies-loopback",
                f"the keys of {table.issuer} on this machine are fetched through the proxy {proxy}",
                "add localhost,127.0.0.1 to NO_PROXY",
            )
        elif proxy and (table.allow_http or table.ca_file):
            host = urlsplit(url).hostname
            result.found(
                "warning",
                "proxies-private",
                f"the keys of {table.issuer} in a private network are fetched from {host} through"
                f" the proxy {proxy}, which may not reach it",
                f"add {host} to NO_PROXY, unless the proxy is meant to be used",
            )
    _look_at_forwarded(environment, result)


def _look_at_forwarded(environment: Environment, result: ProbeResult) -> None:
    """Compare whose X-Forwarded-For the server accepts with the proxies of [throttle]."""
    allowed = environment.variables.get(_FORWARDED, "")
    trusted = [entry.strip() for entry in allowed.split(",") if entry.strip()]
    result.saw(f"{_FORWARDED} is {', '.join(trusted) or 'not set: servers accept loopback only'}")
    table = environment.config.throttle
    if not (table.enabled and environment.config.has_store):
        return
    if "*" in trusted:
        result.found(
            "warning",
            "proxies-any",
            f"{_FORWARDED} is *: any client chooses the address that per_address counts, so"
            " passwords can be guessed without its limit",
            "name the addresses of your proxies in it",
            table="throttle",
            key="per_address",
        )
    if both := sorted({*trusted} & {*table.proxies}):
        result.found(
            "note",
            "proxies-both",
            f"the server replaces the address of {', '.join(both)} by that of the client"
            f" ({_FORWARDED}), so they never appear as an address",
            "remove them from proxies",
            table="throttle",
            key="proxies",
        )
