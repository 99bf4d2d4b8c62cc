"""The outside issuers: their keys, by the door that workers use, their clocks and certificates."""

from __future__ import annotations

import asyncio
import shlex
import ssl
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from linqi.config.faults import Faults
from linqi.config.issuers import IssuersBuilder, no_tenant
from linqi.introspection.introspection import Introspection
from linqi.jwks.discovery import discover
from linqi.jwks.http import HttpFetch
from linqi.jwks.lint import lint
from linqi.jwks.location import KeySetLocation
from linqi.jwks.remote import RemoteKeys
from linqi.jwks.url import origin_of
from linqi.live.http_clock import compare_clock, offset_of
from linqi.live.issuer_access import look_at_authorities, look_at_token, trusted_by
from linqi.live.probe import Environment, ProbeResult
from linqi.live.proxies import proxy_of

__all__ = ["look_at_issuer", "outside_issuers"]

_DAY: Final = 86_400.0
_SOON: Final = 14 * _DAY
"""Certificates of a month or more are renewed before this, so one that is not was forgotten."""


def outside_issuers(environment: Environment) -> tuple[list[RemoteKeys], list[Introspection]]:
    """Return the issuers whose keys are fetched, and those that are asked; nothing is shared."""
    config = environment.config
    alone = replace(config, jwks=replace(config.jwks, share_folder=None, share_in_store=False))
    trusted = IssuersBuilder(
        alone,
        Faults(config.source),
        environ=environment.variables,
        hooks=(),
        http_client=None,
        share=None,
        clock=environment.clock,
        tenants=no_tenant if any(table.ask_tenants for table in config.issuers) else None,
    ).build()
    keys = [one.keys for one in trusted.issuers if isinstance(one.keys, RemoteKeys)]
    return keys, [one.source for one in trusted.opaque if isinstance(one.source, Introspection)]


async def look_at_issuer(keys: RemoteKeys, environment: Environment, result: ProbeResult) -> None:
    """Fetch the keys of one issuer as a worker does, then look at the document and the server."""
    await asyncio.to_thread(look_at_token, keys.location.access, environment, result)
    try:
        await keys.start()
        state = keys.state()
    finally:
        await keys.close()
    if not state.is_ready or not state.kids:
        why = state.last_error or "it publishes no key that the configuration accepts"
        result.found(
            "error",
            "issuer-no-keys",
            f"there are no keys of {keys.issuer}, so its tokens get 503: {why}",
            f"compare with: {_command(keys.location)}",
        )
        return
    result.saw(
        f"{keys.issuer}: usable keys: {len(state.kids)}, trusted for {state.trusted_for:.0f} s"
    )
    url = await _look_at_document(keys, environment, result)
    access = keys.location.access
    context = await asyncio.to_thread(trusted_by, access)
    look_at_authorities(context, access, environment, result)
    servers = {origin_of(one): one for one in (keys.location.configured_url, url)}
    for server in servers.values():
        await _look_at_certificate(server, context, environment, result)


async def _look_at_document(keys: RemoteKeys, environment: Environment, result: ProbeResult) -> str:
    """Return the URL of the key set."""
    location = keys.location
    fetch = HttpFetch(
        environment.config.jwks_limits.settings(),
        access=location.access,
        named_url=location.configured_url,
    )
    try:
        url = location.url or await discover(fetch, location, environment.clock())
        sent = environment.clock()
        answer = await fetch(url, {"cache-control": "no-cache"})
        offset = offset_of(answer.headers, sent, environment.clock())
    finally:
        await fetch.aclose()
    compare_clock(environment, result, keys.issuer, offset)
    linted = lint(
        answer.body,
        answer.headers,
        algorithms=keys.algorithms,
        keys_format=keys.location.keys_format,
        now=environment.clock(),
    )
    for finding in linted.findings:
        result.found(
            "warning" if finding.level == "fault" else "note",
            "issuer-keys",
            f"the key set of {keys.issuer}: {finding.text}",
            f"tell its operator; {_command(location)} shows the set",
        )
    return url


def _command(location: KeySetLocation) -> str:
    """Return the command that fetches the key set of `location`."""
    access = location.access
    words = ["linqi", "jwks"]
    words += ["--issuer", location.issuer] if location.url is None else [location.url]
    words += ["--discovery-url", location.discovery_url] if location.discovery_url else []
    words += ["--keys-format", location.keys_format] if location.keys_format != "jwks" else []
    words += ["--allow-http"] if access.allow_http else []
    words += ["--ca-file", str(access.ca_file)] if access.ca_file else []
    words += ["--token-file", str(access.token_file)] if access.token_file else []
    return shlex.join(words)


async def _look_at_certificate(
    url: str, context: ssl.SSLContext, environment: Environment, result: ProbeResult
) -> None:
    """Report when the certificate of a server ends; a proxy hides it."""
    found = urlsplit(url)
    if found.scheme != "https" or proxy_of(url, environment.variables):
        return
    server = f"{found.scheme}://{found.netloc}"
    with suppress(OSError, ssl.SSLError):  # the keys were fetched: it is not what keeps workers
        _, writer = await asyncio.open_connection(found.hostname, found.port or 443, ssl=context)
        try:
            shown = writer.get_extra_info("peercert") or {}
        finally:
            writer.transport.abort()  # the server may take long to answer a close
            with suppress(OSError):
                await writer.wait_closed()
        left = ssl.cert_time_to_seconds(str(shown["notAfter"])) - environment.clock()
        result.saw(f"{server}: its TLS certificate is valid for {left / _DAY:.0f} days")
        if left < _SOON:
            result.found(
                "warning",
                "issuer-certificate",
                f"the TLS certificate of {server} ends in {left / _DAY:.1f} days; from then on no"
                " keys are fetched",
                "tell its operator to renew it",
            )
