"""Rules about what a new file still needs before users can sign in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from linqi.config.findings import CheckedSettings, Finding
from linqi.config.schema import ISSUERS
from linqi.config.setting import settings_of
from linqi.config.verification_tables import VerifyTable

__all__ = ["SETUP_RULES"]

_LOGIN: Final = "/login"


def _placeholders(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    issuers = [("verify", config.verify.issuer or "")]
    issuers += [(f"{ISSUERS}.{n}", issuer.issuer or "") for n, issuer in enumerate(config.issuers)]
    for table, issuer in issuers:
        if not _is_reserved(issuer):
            continue
        whose = "your own issuer" if table == "verify" else "the issuer's exact iss claim"
        yield Finding(
            code="placeholder",
            severity="warning",
            table=table,
            key="issuer",
            reason=f"{issuer} is the placeholder of `linqi init`: names that end in .example are"
            " reserved for documentation (RFC 2606, section 2).",
            remedy=f"Name {whose}.",
        )
    audience = settings_of(VerifyTable)["audience"].example
    if config.verify.audience == audience and _is_reserved(config.verify.issuer or ""):
        yield Finding(
            code="placeholder",
            severity="warning",
            table="verify",
            key="audience",
            reason=f'"{audience}" is the placeholder of `linqi init`.',
            remedy="Name the API that the tokens are for.",
        )


def _login(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    if not config.slides or config.has_store:  # session routes make their own paths public
        return
    if not config.paths.public and not any(_covers(path) for path in config.paths.optional):
        yield Finding(
            code="login-guarded",
            severity="warning",
            table="paths",
            key="public",
            reason="No path is public, so the application's own sign-in, such as"
            f" {_LOGIN}, is answered 401 without a token.",
            remedy=f'Set public = ["{_LOGIN}"], or the path where users sign in, unless the'
            " application marks its route as public, as with @public of linqi.fastapi.",
        )


def _resource(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    url = config.resource.url
    for number, issuer in enumerate(config.issuers):
        if url is None or url in issuer.audience:
            continue
        yield Finding(
            code="resource-audience",
            severity="warning",
            table=f"{ISSUERS}.{number}",
            key="audience",
            reason=f"Clients ask {issuer.issuer} for tokens with the audience {url} (RFC 8707),"
            " which is not accepted.",
            remedy=f'Set audience = ["{url}"], so that tokens for other resources are refused.',
        )


def _covers(path: str) -> bool:
    return path == _LOGIN or (path.endswith("/*") and f"{_LOGIN}/".startswith(path[:-1]))


def _is_reserved(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "example" or host.endswith(".example")


SETUP_RULES: Final[tuple[Callable[[CheckedSettings], Iterator[Finding]], ...]] = (
    _placeholders,
    _login,
    _resource,
)
