"""Rules about headers that proxies add to requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from linqi.config.findings import CheckedSettings, Finding
from linqi.config.schema import ISSUERS

__all__ = ["PROXY_RULES"]

_MADE_OF_COOKIES: Final = frozenset(
    {
        "cf-access-jwt-assertion",
        "x-amzn-oidc-data",
        "x-auth-request-access-token",
        "x-forwarded-access-token",
        "x-goog-iap-jwt-assertion",
    }
)
"""The headers of Cloudflare Access, AWS load balancers, oauth2-proxy and Google's IAP, which know
the user by a cookie."""


def _token_headers(checked: CheckedSettings) -> Iterator[Finding]:
    http = checked.config.http
    if "header" not in http.accept:
        return
    names = [text.partition(": ")[0] for text in http.token_headers]
    others = [name for name in names if name.lower() != "authorization"]
    if others:
        yield Finding(
            code="token-header",
            severity="note",
            table="http",
            key="token_headers",
            reason=f"Tokens are taken from {', '.join(others)}, which any client can send: they"
            " count because they are verified, and other headers of the same proxy do not.",
            remedy="Let requests reach the application through the proxy only, if it reads such"
            " other headers.",
        )
    of_cookies = [name for name in others if name.lower() in _MADE_OF_COOKIES]
    if of_cookies and not http.token_origins:
        yield Finding(
            code="token-header-csrf",
            severity="warning",
            table="http",
            key="token_origins",
            reason=f"The proxy makes {', '.join(of_cookies)} of a cookie, so a page of another"
            " site can send requests in the name of a signed-in user (CSRF).",
            remedy="List the origins of your own pages in token_origins.",
        )


def _load_balancers(checked: CheckedSettings) -> Iterator[Finding]:
    http = checked.config.http
    for position, issuer in enumerate(checked.config.issuers):
        if not issuer.alb_signer:
            continue
        table = f"{ISSUERS}.{position}"
        yield Finding(
            code="load-balancer",
            severity="note",
            table=table,
            key="alb_signer",
            reason="Tokens of this issuer are padded and have no aud; the header's signer and"
            " client are compared instead.",
            remedy="Let the application receive requests from the load balancer only, as AWS asks.",
        )
        if "x-amzn-oidc-data" not in {name.lower() for name in http.token_headers}:
            yield Finding(
                code="load-balancer-header",
                severity="warning",
                table="http",
                key="token_headers",
                reason="Load balancers send their tokens in x-amzn-oidc-data, which is not read.",
                remedy='Add "x-amzn-oidc-data" to token_headers.',
            )


PROXY_RULES: Final[tuple[Callable[[CheckedSettings], Iterator[Finding]], ...]] = (
    _token_headers,
    _load_balancers,
)
