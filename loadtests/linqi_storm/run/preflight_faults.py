"""Why a service does not understand the clients of a storm, and which option to change."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx2

from linqi import KeySet
from linqi_storm.schema.generator_plan import TokenSource, TokenTransport
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import Target
from linqi_storm.schema.workload import WorkloadRequest

__all__ = ["refusal_fault", "successor_fault", "why_not"]

_SHOWN: Final = 200
_REMEDIES: Final = {
    403: "The page needs a scope: name it by --scope, or another page by --path",
    404: "The service has no such page: name one that needs a token by --path or --workload",
    405: "The page has another method: give it in --workload",
    429: "A limit of requests applies to the storm: raise it for the run",
}


def why_not(answer: httpx2.Response) -> str:
    """Return the challenge or the body of a refusal, shortened to one line."""
    told = answer.headers.get("www-authenticate") or answer.text or "an empty body"
    return " ".join(told.split())[:_SHOWN]


def refusal_fault(
    request: WorkloadRequest, answer: httpx2.Response, source: TokenSource, target: Target
) -> str:
    """Return why the answer to a live token is none for a known user; empty if it is one."""
    status = answer.status_code
    if status < 300:
        return ""
    place = f"{' '.join(request.kind)} answered {status}"
    if status < 400:
        return (
            f"{place} to {answer.headers.get('location', 'nowhere')}: clients do not follow"
            " redirects. Name the page itself by --path"
        )
    shown = why_not(answer)
    if status == 401:
        return f"{place} to a live token ({shown}). {_refused_token(source, target)}"
    if status >= 500:
        return f"{place} ({shown}). The service fails before any load: see its log"
    return f"{place} ({shown}). {_REMEDIES.get(status, 'Check --path and --workload')}"


def _refused_token(source: TokenSource, target: Target) -> str:
    if target.kind == "app":
        return (
            f"The middleware of linqi.toml was put in place of each JWTMiddleware in {target.name},"
            " and another verifier still refuses the tokens of the run. Give --app the application"
            " without that verifier, or start it yourself and use --url with --key"
        )
    if source.login is not None:
        return (
            "The token is the one that the login returned: check token_field of --login, and that"
            " --url and the login belong to one service"
        )
    key = KeySet.load(Path(source.jwks)).signing_key()
    return (
        f"It was signed with {key.alg} and kid {key.kid!r} of --key, has iss {source.issuer!r} and"
        f" aud {source.audience!r}: expected the signing key, the issuer and the audience of the"
        " service, exactly as its verifier has them; check --key, --issuer and --audience"
    )


def successor_fault(
    request: WorkloadRequest,
    answer: httpx2.Response,
    left: float,
    load: StormLoad,
    transport: TokenTransport,
) -> str:
    """Return what a response without a successor to a near-expiry token means."""
    wanted = f"the cookie {transport.cookie}" if transport.cookie else transport.successor_header
    return (
        f"{' '.join(request.kind)} answered {answer.status_code} without a successor to a token"
        f" {left:.3g} s before its expiry, expected {wanted}. Either the service renews no session,"
        f" or its buffer is shorter than {load.buffer:g} s (--buffer-seconds), or the successor has"
        " another header, or the page is marked as cacheable and skip_cacheable is on"
    )
