"""``linqi jwks``: shows a published key set and checks it for faults."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final, get_args

from linqi.commands.command_help import CommandHelp, Example
from linqi.errors import ConfigurationError, FetchFailed
from linqi.jwks.access import RemoteAccess
from linqi.jwks.discovery import discover
from linqi.jwks.freshness import RefreshSettings, lifetime_of
from linqi.jwks.http import HttpFetch, RemoteLimits
from linqi.jwks.lint import KeySetFinding, LintedKeySet, lint
from linqi.jwks.location import KeySetLocation
from linqi.jwks.published import SIGNATURES, KeysFormat

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example(
            "linqi jwks https://shop.example/.well-known/jwks.json", "show a key set and its faults"
        ),
        Example(
            "linqi jwks --issuer https://id.example/realms/shop",
            "find the key set of an issuer by OpenID Connect Discovery",
        ),
        Example(
            "linqi jwks https://kubernetes.default.svc/openid/v1/jwks --ca-file ca.crt"
            " --token-file token",
            "fetch it from a server with a private certificate that wants a token",
        ),
        Example(
            "linqi jwks keys.json --algorithms ES256",
            "check a file, as a verifier that accepts ES256 only",
        ),
        Example(
            "linqi jwks --keys-format certificates https://www.googleapis.com/robot/v1/metadata/"
            "x509/securetoken@system.gserviceaccount.com",
            "show a map of key ids and certificates, as Firebase publishes it",
        ),
    ],
    exits={
        0: "the set has no faults",
        1: "the set has faults, or cannot be fetched",
    },
)

_COLUMNS = ("kid", "kty", "alg", "use", "size", "verdict")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("source", help="the URL of a key set, an issuer (with --issuer), or a file")
    parser.add_argument(
        "--issuer",
        action="store_true",
        help="source is an issuer; discover its key set (OIDC)",
    )
    parser.add_argument(
        "--discovery-url",
        metavar="URL",
        help="with --issuer: the URL of its metadata, if it is not the issuer's own",
    )
    parser.add_argument(
        "--allow-http", action="store_true", help="allow http to hosts that are not loopback"
    )
    parser.add_argument(
        "--ca-file",
        metavar="FILE",
        help="the certificates (PEM) that are trusted instead of the public ones",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="a bearer token that is sent to the origin of the given URL",
    )
    parser.add_argument(
        "--algorithms",
        nargs="+",
        choices=SIGNATURES,
        metavar="ALG",
        help="algorithms whose keys count as usable (default: all)",
    )
    parser.add_argument(
        "--keys-format",
        choices=get_args(KeysFormat),
        default="jwks",
        help="the form of the set (default: jwks); certificates is a map of key ids and PEMs",
    )
    parser.add_argument(
        "--timeout-seconds", type=float, default=5, help="how long one request may take"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace, clock: Callable[[], float] = time.time) -> int:
    """Print the key set; return 0 without faults and 1 with; raise `LinqiError` for a bad URL."""
    limits, now = RemoteLimits(timeout=arguments.timeout_seconds), clock()
    judge = partial(
        lint, algorithms=arguments.algorithms, keys_format=arguments.keys_format, now=now
    )
    location = _location(arguments)
    if location is None:
        linted = judge(Path(arguments.source).read_bytes(), None)
        _show(arguments.source, linted, {}, is_json=arguments.json)
        return int(linted.has_faults)
    if faults := location.faults():
        raise ConfigurationError(faults)
    linted, url, about = asyncio.run(_fetched(location, judge, limits, now))
    _show(url, linted, about, is_json=arguments.json)
    return int(linted.has_faults)


def _location(arguments: argparse.Namespace) -> KeySetLocation | None:
    """Return where the key set is; None if it is a file."""
    if arguments.discovery_url and not arguments.issuer:
        raise ConfigurationError(["--discovery-url needs --issuer and the issuer's exact iss"])
    if not arguments.issuer and not arguments.source.startswith(("http://", "https://")):
        if arguments.allow_http or arguments.ca_file or arguments.token_file:
            raise ConfigurationError(
                [
                    f"{arguments.source} is a file; --allow-http, --ca-file and --token-file are"
                    " for a URL"
                ]
            )
        return None
    return KeySetLocation(
        issuer=arguments.source,
        url=None if arguments.issuer else arguments.source,
        discovery_url=arguments.discovery_url,
        access=RemoteAccess(
            allow_http=arguments.allow_http,
            ca_file=arguments.ca_file,
            token_file=arguments.token_file,
        ),
    )


async def _fetched(
    location: KeySetLocation,
    judge: Callable[[bytes, Mapping[str, str]], LintedKeySet],
    limits: RemoteLimits,
    now: float,
) -> tuple[LintedKeySet, str, dict[str, float]]:
    """Return the checked key set, its URL, and the figures of the response."""
    url = location.configured_url
    fetch = HttpFetch(limits, access=location.access, named_url=url)
    try:
        if location.url is None:
            url = await discover(fetch, location, now)
        began = time.perf_counter()
        answer = await fetch(url, {})
        took = time.perf_counter() - began
    except FetchFailed as error:
        return _failed(str(error)), url, {}
    finally:
        await fetch.aclose()
    if answer.status != 200:
        return _failed(_status_text(answer.status, location.url is None)), url, {}
    linted = judge(answer.body, answer.headers)
    return linted, url, _about(answer.headers, len(answer.body), took)


def _about(headers: Mapping[str, str], size: int, took: float) -> dict[str, float]:
    kept = lifetime_of(headers.get("cache-control", ""), headers.get("age", ""), RefreshSettings())
    return {"bytes": size, "answered_in_seconds": round(took, 3), "kept_for_seconds": kept}


def _failed(text: str) -> LintedKeySet:
    return LintedKeySet(keys=(), findings=(KeySetFinding(level="fault", text=text),))


def _status_text(status: int, is_issuer: bool) -> str:
    if 300 <= status < 400:
        return f"the response is {status}; redirects are not followed, so give the final URL"
    if status in (401, 403):
        return f"the response is {status}; if the server wants a token, add --token-file"
    hint = "" if is_issuer else "; if the URL is an issuer and not a key set, add --issuer"
    return f"the response is {status}{hint}"


def _show(source: str, linted: LintedKeySet, about: Mapping[str, float], *, is_json: bool) -> None:
    if is_json:
        print(json.dumps({"source": source, **about, **asdict(linted)}, indent=2))
        return
    print(source)
    if about:
        print(", ".join(f"{name} {value:g}" for name, value in about.items()))
    if linted.keys:
        rows = [_COLUMNS, *(tuple(getattr(key, c) or "-" for c in _COLUMNS) for key in linted.keys)]
        widths = [max(len(row[n]) for row in rows) for n in range(len(_COLUMNS))]
        for row in rows:
            print(
                "  ".join(
                    cell.ljust(width) for cell, width in zip(row, widths, strict=True)
                ).rstrip()
            )
    for finding in linted.findings:
        print(f"{finding.level}: {finding.text}")
    if not linted.has_faults:
        print(f"no faults; usable keys: {sum(k.verdict == 'used' for k in linted.keys)}")
    sys.stdout.flush()
