"""The outside issuers: their keys, by the door that workers use, their clocks and certificates."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from linqi.config.faults import Faults
from linqi.config.issuers import IssuersBuilder
from linqi.jwks.discovery import discover
from linqi.jwks.http import HttpFetch
from linqi.jwks.lint import lint
from linqi.jwks.remote import RemoteKeys
from linqi.live.http_clock import compare_clock, offset_of
from linqi.live.probe import Environment, ProbeResult
from linqi.live.proxies import proxy_of

__all__ = ["look_at_issuer", "remote_issuers"]

_DAY: Final = 86_400.0
_SOON: Final = 14 * _DAY
"""Certificates of a month or more are renewed before this, so one that is not was forgotten."""


def remote_issuers(environment: Environment) -> list[RemoteKeys]:
    """Return the issuers of the configuration whose keys are fetched; nothing is shared."""
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
    ).build()
    return [one.keys for one in trusted.issuers if isinstance(one.keys, RemoteKeys)]


async def look_at_issuer(keys: RemoteKeys, environment: Environment, result: ProbeResult) -> None:
    """Fetch the keys of one issuer as a worker does, then look at the document and the server."""
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
            f"compare with: linqi jwks --issuer {keys.issuer}",
        )
        return
    result.saw(
        f"{keys.issuer}: {len(state.kids)} usable keys, trusted for {state.trusted_for:.0f} s"
    )
    await _look_at_document(keys, environment, result)
    await _look_at_certificate(keys.issuer, environment, result)


async def _look_at_document(
    keys: RemoteKeys, environment: Environment, result: ProbeResult
) -> None:
    table = next(t for t in environment.config.issuers if t.issuer == keys.issuer)
    fetch = HttpFetch(environment.config.jwks_limits.settings())
    try:
        url = keys.location.url or await discover(fetch, keys.location, environment.clock())
        sent = environment.clock()
        answer = await fetch(url, {"cache-control": "no-cache"})
        offset = offset_of(answer.headers, sent, environment.clock())
    finally:
        await fetch.aclose()
    compare_clock(environment, result, keys.issuer, offset)
    linted = lint(
        answer.body,
        answer.headers,
        algorithms=table.algorithms,
        keys_format=keys.location.keys_format,
        now=environment.clock(),
    )
    for finding in linted.findings:
        result.found(
            "warning" if finding.level == "fault" else "note",
            "issuer-keys",
            f"the key set of {keys.issuer}: {finding.text}",
            f"tell its operator; linqi jwks {url} shows the set",
        )


async def _look_at_certificate(issuer: str, environment: Environment, result: ProbeResult) -> None:
    """Report when the certificate of the issuer's server ends; a proxy hides it."""
    found = urlsplit(issuer)
    if found.scheme != "https" or proxy_of(issuer, environment.variables):
        return
    with suppress(OSError, ssl.SSLError):  # the keys were fetched: it is not what keeps workers
        _, writer = await asyncio.open_connection(
            found.hostname, found.port or 443, ssl=ssl.create_default_context()
        )
        try:
            shown = writer.get_extra_info("peercert") or {}
        finally:
            writer.transport.abort()  # the server may take long to answer a close
            with suppress(OSError):
                await writer.wait_closed()
        left = ssl.cert_time_to_seconds(str(shown["notAfter"])) - environment.clock()
        result.saw(f"{issuer}: its TLS certificate is valid for {left / _DAY:.0f} days")
        if left < _SOON:
            result.found(
                "warning",
                "issuer-certificate",
                f"the TLS certificate of {issuer} ends in {left / _DAY:.1f} days; from then on no"
                " keys are fetched",
                "tell its operator to renew it",
            )
