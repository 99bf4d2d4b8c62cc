"""Rules about secrets, keys, token verification, HTTP and stores."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from linqi import _base64url
from linqi.config.findings import CheckedSettings, Finding
from linqi.config.schema import ISSUERS
from linqi.jose.key import Key
from linqi.jose.keys import KeySet
from linqi.jwks.url import is_loopback_url

__all__ = ["SAFETY_RULES"]

_SECRET: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
    r"|\blqr_[A-Za-z0-9_-]{20,}|[\"']?\b[dk][\"']?\s*[:=]\s*[\"'][A-Za-z0-9_+/=-]{32,}[\"']"
    r"|(?i:(?:secret|password|passwd)\w*)[\"']?\s*[:=]\s*[\"'][^\"'\s]{8,}[\"']"
)
_ALLOWED: Final = re.compile(r"^\s*#?\s*(?:secrets|client_secret)_(?:file|env)\s*=")
_OTHERS_READ, _GROUP_READS, _OTHERS_WRITE, _OWNER_WRITES = 0o004, 0o040, 0o022, 0o200


def _inline(checked: CheckedSettings) -> Iterator[Finding]:
    for number, line in enumerate(checked.text.splitlines(), 1):
        if _SECRET.search(line) and not _ALLOWED.match(line):
            yield Finding(
                code="inline-secret",
                severity="error",
                reason=f"Line {number} looks like a secret, and this file is copied and shared.",
                remedy="Make a new secret, and name its file or variable here instead.",
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
                reason="The URL has a password, and this file is copied and shared.",
                remedy=f"Put the URL into an environment variable, and name that in {key}_env.",
            )


def _files(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    for table, key, name in (
        ("keys", "file", config.keys.file),
        ("keys", "verify_file", config.keys.verify_file if _can_sign(checked.verify) else None),
        ("store", "secrets_file", config.store.secrets_file),
    ):
        mode = checked.modes.get(config.folder / name, 0) if name else 0
        # A file that its owner cannot write is a mounted secret, which the group has to read.
        if mode & _OTHERS_READ or (mode & _GROUP_READS and mode & _OWNER_WRITES):
            is_world_readable = bool(mode & _OTHERS_READ)
            who = "Every user" if is_world_readable else "The group"
            yield Finding(
                code="key-file-readable",
                severity="error" if is_world_readable else "warning",
                table=table,
                key=key,
                reason=f"{who} on this machine can read {name} (mode {mode:04o}) and sign tokens.",
                remedy=f"Run chmod 600 {name}; rotate the key if other users may have read it.",
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
        reason=f"Other users can write {name} (mode {mode:04o}) and so choose the trusted keys.",
        remedy=f"Run chmod go-w {name}.",
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
            reason=f"Each {slow[0]} signature blocks the event loop for about 0.4 ms or more.",
            remedy='Set off_loop = "auto", or rotate to ES256.',
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
                remedy=f"Rotate with --token-lifetime-seconds {lifetime:g} or more.",
            )
    verify = () if checked.verify is None else checked.verify.keys
    prints = {key.thumbprint for key in (*signing.keys, *verify)}
    if checked.refresh is not None and any(k.thumbprint in prints for k in checked.refresh.keys):
        yield Finding(
            code="secret-shared",
            severity="error",
            table="store",
            key="secrets_file",
            reason="Refresh tokens use the signing key as their secret, so one leak exposes both.",
            remedy="Run linqi keygen --alg HS256 --out refresh.json, and name that file.",
        )


def _verify_keys(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    keys = () if checked.verify is None else checked.verify.keys
    if checked.signing is None or not keys:
        return
    has_secret = any(key.kty == "oct" for key in keys)
    yield Finding(
        code="verify-keys",
        severity="note",
        table="keys",
        key="verify_file" if config.keys.verify_file else "verify_env",
        reason=f"Own tokens by {_named(keys)} are accepted too, although these keys sign none here"
        + ("; a copy of such a secret can sign tokens of any user." if has_secret else "."),
        remedy=f"Remove it {config.renewal.longest_own_lifetime:g} s after the last worker that"
        " signed with them has stopped.",
    )


def _can_sign(keys: KeySet | None) -> bool:
    return keys is not None and any(key.can_sign for key in keys.keys)


def _bytes_of(secret: Key) -> int:
    return len(_base64url.decode(secret.private_jwk()["k"]))


def _named(keys: Sequence[Key]) -> str:
    """Return the algorithms of `keys`, with the length of secrets."""
    names = {f"{key.alg} ({_bytes_of(key)} bytes)" if key.kty == "oct" else key.alg for key in keys}
    return ", ".join(sorted(names))


def _verification(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    if config.verify.leeway_seconds > 0:
        yield Finding(
            code="leeway",
            severity="warning",
            table="verify",
            key="leeway_seconds",
            reason=f"Expired tokens are accepted for {config.verify.leeway_seconds:g} s.",
            remedy="Synchronise the clocks (NTP), and leave it at 0.",
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
            reason="While the store is unreachable, revoked sessions are accepted.",
            remedy='Set on_revocation_error = "closed" and a finite stale_after_seconds.',
        )
    elif config.has_store and config.store.stale_after_seconds > 60:
        yield Finding(
            code="revocation-slow",
            severity="warning",
            table="store",
            key="stale_after_seconds",
            reason="A worker that cannot reach the store accepts revoked sessions for"
            f" {config.store.stale_after_seconds:g} s.",
            remedy="Lower it to 60 or less.",
        )
    if config.verify.bound_tokens == "accept":
        yield Finding(
            code="bound-accepted",
            severity="warning",
            table="verify",
            key="bound_tokens",
            reason="A stolen DPoP or mTLS token works here as a bearer token (RFC 9449, 7.2).",
            remedy='Leave it at "refuse", unless a gateway checks every proof first.',
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
            reason="Without Secure and __Host- the cookie is sent over plain HTTP, and a sibling"
            " site can set it.",
            remedy="Remove access_secure; it is for development on loopback.",
        )
    if config.has_store and not config.cookies.refresh_secure:
        yield Finding(
            code="refresh-cookie-insecure",
            severity="error",
            table="cookies",
            key="refresh_secure",
            reason="Without Secure and __Host- the refresh token, good for days, crosses plain"
            " HTTP; the session routes take its cookie on loopback only.",
            remedy="Leave refresh_secure out; it is for development on loopback.",
        )
    urls = [("verify", "issuer", config.verify.issuer or "")]
    # With allow_http the rule of that key says it.
    urls += [
        (f"{ISSUERS}.{n}", "issuer", outside.issuer or "")
        for n, outside in enumerate(config.issuers)
        if not outside.allow_http
    ]
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
                reason=f"The {what} is http, so an attacker on the network can impersonate it.",
                remedy="Use https.",
            )
    if config.slides and "/*" in config.paths.quiet:
        yield Finding(
            code="all-quiet",
            severity="error",
            table="paths",
            key="quiet",
            reason="Every request is quiet, so no session is renewed after its first token.",
            remedy="Name only the paths that a page requests without its user.",
        )
    if not config.http.end_streams:
        yield Finding(
            code="streams-outlive",
            severity="warning",
            table="http",
            key="end_streams",
            reason="An event stream stays open for as long as its client reads it, even after its"
            " token expired or its session was revoked.",
            remedy="Remove end_streams; stream_grace_seconds leaves time to take a successor.",
        )
    for path in config.paths.public:
        if path == "/*":
            yield Finding(
                code="all-public",
                severity="error",
                table="paths",
                key="public",
                reason="Every path is public, so no token is ever verified.",
                remedy='Name the paths, or use optional = ["/*"].',
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
            reason="Sessions end with the process, and workers do not share them.",
            remedy='Use "sqlite:sessions.db" on one machine, else valkey:// or postgresql://.',
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
            reason="Passwords can be guessed as fast as the server checks them.",
            remedy="Remove it, unless a proxy in front of the application limits sign-ins.",
        )
        return
    if (config.throttle.storage or "").startswith("memory:"):
        yield Finding(
            code="throttle-local",
            severity="note",
            table="throttle",
            key="storage",
            reason="Each worker counts failed sign-ins by itself, so W workers allow W times as"
            " many.",
            remedy="Remove storage; the workers then count together on the engine of [store].",
        )
    listed = ", ".join(("loopback", *config.throttle.proxies))
    yield Finding(
        code="throttle-address",
        severity="note",
        table="throttle",
        key="proxies",
        reason=f"per_address does not count requests without a client address or from {listed},"
        " because clients behind a proxy share its address.",
        remedy="Configure the server to take the client's address from the proxy's header (uvicorn:"
        " --forwarded-allow-ips), and list here each proxy for which it cannot.",
    )


def _overrides(checked: CheckedSettings) -> Iterator[Finding]:
    for variable, table, key in checked.config.overrides:
        yield Finding(
            code="environment",
            severity="note",
            table=table,
            key=key,
            reason=f"{variable} is set and overrides the file.",
            remedy="Unset it if this is not intended.",
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
    _verify_keys,
    _verification,
    _http,
    _store,
    _throttle,
    _overrides,
)
