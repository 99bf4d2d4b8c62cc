"""Rules about secrets, keys, transports and stores."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from linqi.config.findings import CheckedSettings, Finding
from linqi.jwks.http import is_loopback_url

__all__ = ["SAFETY_RULES"]

_SECRET: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r"|\blqr_[A-Za-z0-9_-]{20,}|[\"']?\b[dk][\"']?\s*[:=]\s*[\"'][A-Za-z0-9_+/=-]{32,}[\"']"
    r"|(?i:(?:secret|password|passwd)\w*)[\"']?\s*[:=]\s*[\"'][^\"'\s]{8,}[\"']"
)
_ALLOWED: Final = re.compile(r"^\s*#?\s*secrets_(?:file|env)\s*=")
_OTHERS_READ, _GROUP_READS, _OTHERS_WRITE, _OWNER_WRITES = 0o004, 0o040, 0o022, 0o200


def _inline(checked: CheckedSettings) -> Iterator[Finding]:
    for number, line in enumerate(checked.text.splitlines(), 1):
        if _SECRET.search(line) and not _ALLOWED.match(line):
            yield Finding(
                code="inline-secret",
                severity="error",
                reason=f"Line {number} looks like a secret, and this file is copied and shared.",
                mend="Make a new secret, and name a file or a variable here instead.",
            )
    config = checked.config
    for table, key, url in (
        ("store", "url", config.store.url),
        ("throttle", "storage", config.throttle.storage or ""),
    ):
        if url and _has_password(url) and (table, key) not in {o[1:] for o in config.overrides}:
            yield Finding(
                code="inline-secret",
                severity="error",
                table=table,
                key=key,
                reason="The URL holds a password, and this file is copied and shared.",
                mend=f"Put the URL into a variable and name it in {key}_env.",
            )


def _files(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    for table, key, name in (
        ("keys", "file", config.keys.file),
        ("store", "secrets_file", config.store.secrets_file),
    ):
        mode = checked.modes.get(config.folder / name, 0) if name else 0
        # One that its owner cannot write either is a mounted secret: the group is how it is given.
        if mode & _OTHERS_READ or (mode & _GROUP_READS and mode & _OWNER_WRITES):
            everybody = bool(mode & _OTHERS_READ)
            who = "Every user" if everybody else "The group"
            yield Finding(
                code="key-file-readable",
                severity="error" if everybody else "warning",
                table=table,
                key=key,
                reason=f"{who} of the machine can read {name} (mode {mode:04o}) and make tokens.",
                mend=f"chmod 600 {name}, and rotate the key if it was so for long.",
            )
        if mode & _OTHERS_WRITE:
            yield _writable(table, key, str(name), mode)
    own = checked.modes.get(config.folder / config.source.rpartition("/")[2], 0)
    if own & _OTHERS_WRITE:
        yield _writable("", "", config.source, own)


def _writable(table: str, key: str, name: str, mode: int) -> Finding:
    return Finding(
        code="file-writable",
        severity="error",
        table=table,
        key=key,
        reason=f"Others can write {name} (mode {mode:04o}), and so decide whose tokens count.",
        mend=f"chmod go-w {name}.",
    )


def _keys(checked: CheckedSettings) -> Iterator[Finding]:
    config, signing = checked.config, checked.signing
    if signing is None:
        return
    slow = [key.alg for key in signing.keys if key.can_sign and key.alg[:2] in ("RS", "PS")]
    if slow and config.slides and config.signing.off_loop is False:
        yield Finding(
            code="rsa-inline",
            severity="warning",
            table="signing",
            key="off_loop",
            reason=f"Each {slow[0]} signature stops the event loop for about 0.4 ms or more.",
            mend='Set off_loop = "auto", or rotate to ES256.',
        )
    lifetime = config.renewal.longest_own_lifetime
    for before, after in zip(signing.keys, signing.keys[1:], strict=False):
        until = before.published_until
        if until is not None and until < after.signs_from + lifetime:
            yield Finding(
                code="overlap-short",
                severity="error",
                table="keys",
                key="file",
                reason=f"Key {before.kid} is withdrawn {after.signs_from + lifetime - until:g} s"
                " before its last token expires.",
                mend=f"Rotate with --token-lifetime-seconds {lifetime:g} or more.",
            )
    prints = {key.thumbprint for key in signing.keys}
    if checked.refresh is not None and any(k.thumbprint in prints for k in checked.refresh.keys):
        yield Finding(
            code="secret-shared",
            severity="error",
            table="store",
            key="secrets_file",
            reason="Refresh tokens are made with the signing key, so one leak opens both.",
            mend="linqi keygen --alg HS256 --out refresh.json, and name that.",
        )


def _verification(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    if config.verify.leeway_seconds > 0:
        yield Finding(
            code="leeway",
            severity="warning",
            table="verify",
            key="leeway_seconds",
            reason=f"Expired tokens are let in for {config.verify.leeway_seconds:g} s.",
            mend="Set the clocks right (NTP) and leave it at 0.",
        )
    if config.has_store and (
        config.verify.on_revocation_error == "open" or config.store.stale_after_seconds == math.inf
    ):
        is_open = config.verify.on_revocation_error == "open"
        yield Finding(
            code="revocation-open",
            severity="warning",
            table="verify" if is_open else "store",
            key="on_revocation_error" if is_open else "stale_after_seconds",
            reason="While the store is away, revoked sessions are let in.",
            mend='Set on_revocation_error = "closed" and a finite stale_after_seconds.',
        )
    elif config.has_store and config.store.stale_after_seconds > 60:
        yield Finding(
            code="revocation-slow",
            severity="warning",
            table="store",
            key="stale_after_seconds",
            reason="A worker that has lost the store lets revoked sessions in for"
            f" {config.store.stale_after_seconds:g} s.",
            mend="Lower it to 60 or less.",
        )
    if config.verify.bound_tokens == "accept":
        yield Finding(
            code="bound-accepted",
            severity="warning",
            table="verify",
            key="bound_tokens",
            reason="A stolen DPoP or mTLS token works here as a bearer token (RFC 9449, 7.2).",
            mend='Leave it at "refuse", unless a gateway before this API checks every proof.',
        )
    for position, issuer in enumerate(config.issuers):
        if issuer.any_audience and not issuer.required_claims:
            yield Finding(
                code="any-audience",
                severity="warning",
                table=f"issuers.{position}",
                key="any_audience",
                reason="A token that the issuer made for any other API opens this one.",
                mend="Name the audience, or demand a claim such as client_id in required_claims.",
            )


def _http(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    has_cookie = "cookie" in config.http.accept
    if has_cookie and not config.cookies.access_secure:
        yield Finding(
            code="cookie-insecure",
            severity="error",
            table="cookies",
            key="access_secure",
            reason="Without Secure and __Host- the token crosses plain HTTP, and a sibling site can"
            " plant one.",
            mend="Leave access_secure out; it is for development on loopback.",
        )
    if config.has_store and not config.cookies.refresh_secure:
        yield Finding(
            code="refresh-cookie-insecure",
            severity="error",
            table="cookies",
            key="refresh_secure",
            reason="Without Secure and __Host- the refresh token, good for days, crosses plain"
            " HTTP; the session routes take its cookie on loopback only.",
            mend="Leave refresh_secure out; it is for development on loopback.",
        )
    urls = [("verify", "issuer", config.verify.issuer or "")]
    urls += [(f"issuers.{n}", "issuer", i.issuer or "") for n, i in enumerate(config.issuers)]
    urls += [("cookies", "origins", origin) for origin in config.cookies.origins]
    urls += [("http", "expose_to", origin) for origin in config.http.expose_to]
    for table, key, url in urls:
        if url.lower().startswith("http://") and not is_loopback_url(url):
            what = "issuer" if key == "issuer" else "origin"
            yield Finding(
                code=f"{what}-http",
                severity="warning",
                table=table,
                key=key,
                reason=f"The {what} is http: whoever sits on the way can speak for it.",
                mend="Use https.",
            )
    if config.slides and "/*" in config.paths.quiet:
        yield Finding(
            code="all-quiet",
            severity="error",
            table="paths",
            key="quiet",
            reason="Every request is quiet, so no session slides: each ends with its first token.",
            mend="Name the paths that a page asks for by itself.",
        )
    if not config.http.end_streams:
        yield Finding(
            code="streams-outlive",
            severity="warning",
            table="http",
            key="end_streams",
            reason="An event stream goes on for as long as its client likes, also after its token"
            " expired or its session was revoked.",
            mend="Leave end_streams out; stream_grace_seconds leaves time for a successor.",
        )
    for path in config.paths.public:
        if path == "/*":
            yield Finding(
                code="all-public",
                severity="error",
                table="paths",
                key="public",
                reason="Every path is public, so no token is ever looked at.",
                mend='Name the paths, or use optional = ["/*"].',
            )


def _store(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    if not config.has_store:
        return
    if (config.store.url or "").startswith("memory:"):
        yield Finding(
            code="store-memory",
            severity="warning",
            table="store",
            key="url",
            reason="Sessions end with the process, and no worker knows another's.",
            mend='Use "sqlite:sessions.db" on one machine, valkey:// or postgresql:// on several.',
        )


def _throttle(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    if not config.has_store:
        return
    if not config.throttle.enabled:
        yield Finding(
            code="throttle-off",
            severity="warning",
            table="throttle",
            key="enabled",
            reason="Passwords can be guessed as fast as they are checked.",
            mend="Leave it out, unless something in front of the application counts.",
        )
        return
    if (config.throttle.storage or "").startswith("memory:"):
        yield Finding(
            code="throttle-local",
            severity="note",
            table="throttle",
            key="storage",
            reason="Each worker counts failed sign-ins for itself, so W workers allow W times as"
            " many.",
            mend="Leave storage out, and they count together on the engine of [store].",
        )
    listed = ", ".join(("loopback", *config.throttle.proxies))
    yield Finding(
        code="throttle-address",
        severity="note",
        table="throttle",
        key="proxies",
        reason=f"per_address is off for requests without a client address or from {listed}:"
        " clients behind a proxy share it.",
        mend="Have the server take the client's address from the proxy's header (uvicorn:"
        " --forwarded-allow-ips), and list here every proxy for which it does not.",
    )


def _overrides(checked: CheckedSettings) -> Iterator[Finding]:
    for variable, table, key in checked.config.overrides:
        yield Finding(
            code="environment",
            severity="note",
            table=table,
            key=key,
            reason=f"{variable} is set and overrides the file.",
            mend="Unset it if that is not meant.",
        )


def _has_password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password) or "password=" in url
    except ValueError:
        return False


SAFETY_RULES: Final[tuple[Callable[[CheckedSettings], Iterator[Finding]], ...]] = (
    _inline,
    _files,
    _keys,
    _verification,
    _http,
    _store,
    _throttle,
    _overrides,
)
