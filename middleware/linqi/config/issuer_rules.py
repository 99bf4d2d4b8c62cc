"""Rules about outside issuers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from linqi.config.findings import CheckedSettings, Finding
from linqi.config.schema import ISSUERS
from linqi.jose.claim_paths import ClaimPath, claim_path, display_path
from linqi.jose.opaque import KINDS
from linqi.jose.required_claims import wanted_values

__all__ = ["ISSUER_RULES"]

_KINDS: Final = {(kind,) for kind in KINDS}
_OTHERS_WRITE: Final = 0o022
_OF_USERS: Final = frozenset({"user_metadata", "unsafe_metadata", "unsafeMetadata"})
"""Objects that signed-in users change themselves, at Supabase, Auth0 and Clerk."""


def _accepted(checked: CheckedSettings) -> Iterator[Finding]:
    for position, issuer in enumerate(checked.config.issuers):
        table = f"{ISSUERS}.{position}"
        if issuer.ask_tenants:
            yield Finding(
                code="tenants-asked",
                severity="note",
                table=table,
                key="ask_tenants",
                reason="A function decides which tenants count, and this check does not see it.",
                remedy="List them in tenants if they are few and known.",
            )
        if issuer.any_audience and not issuer.required_claims:
            yield Finding(
                code="any-audience",
                severity="warning",
                table=table,
                key="any_audience",
                reason="A token that the issuer made for any other API is accepted here.",
                remedy="Name the audience, or add a claim such as client_id to required_claims.",
            )


def _opaque(checked: CheckedSettings) -> Iterator[Finding]:
    for position, issuer in enumerate(checked.config.issuers):
        table = f"{ISSUERS}.{position}"
        if issuer.stale_answer_seconds > 0:
            yield Finding(
                code="stale-answers",
                severity="warning",
                table=table,
                key="stale_answer_seconds",
                reason="While the issuer cannot be asked, a token that it has revoked is accepted"
                f" for {issuer.trust_seconds + issuer.stale_answer_seconds:g} s.",
                remedy="Leave it at 0, unless an outage of the issuer costs more than that.",
            )
        paths = {path for path, _ in wanted_values(issuer.required_claims)}
        if issuer.introspection_url and issuer.any_audience and not paths & _KINDS:
            yield Finding(
                code="any-kind",
                severity="warning",
                table=table,
                key="required_claims",
                reason="Issuers call refresh tokens active too, and without an audience nothing"
                " tells them from access tokens.",
                remedy='Name the audience, or add token_type = "Bearer" to required_claims if the'
                " issuer says so of access tokens.",
            )
        if issuer.introspect_jwts:
            yield Finding(
                code="introspect-jwts",
                severity="note",
                table=table,
                key="introspect_jwts",
                reason="JWTs are sent to the issuer that they name, before anything in them is"
                " verified.",
                remedy="Remove it where revocation at the issuer does not have to count; its keys"
                " then verify them.",
            )


def _access(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    for position, issuer in enumerate(config.issuers):
        table = f"{ISSUERS}.{position}"
        if issuer.allow_http:
            yield Finding(
                code="allow-http",
                severity="warning",
                table=table,
                key="allow_http",
                reason="A party in the network between can publish keys of its own as those of"
                f" {issuer.issuer}, and then any token that it makes is accepted.",
                remedy="Use https with ca_file; keep allow_http only where each party in that"
                " network may sign in as any user.",
            )
        mode = checked.modes.get(config.folder / issuer.ca_file, 0) if issuer.ca_file else 0
        if mode & _OTHERS_WRITE:
            yield Finding(
                code="file-writable",
                severity="error",
                table=table,
                key="ca_file",
                reason=f"Other users can write {issuer.ca_file} (mode {mode:04o}) and so choose"
                " which server is trusted with the keys.",
                remedy=f"Run chmod go-w {issuer.ca_file}.",
            )


def _scope_claims(checked: CheckedSettings) -> Iterator[Finding]:
    for position, issuer in enumerate(checked.config.issuers):
        paths = [claim_path(name) for name in issuer.scope_claims]
        if others := [display_path(path) for path in paths if path != ("scope",)]:
            yield Finding(
                code="scopes-elsewhere",
                severity="note",
                table=f"{ISSUERS}.{position}",
                key="scope_claims",
                reason=f"What the issuer lists in {', '.join(others)} counts as scopes here.",
                remedy="Check that a role or group of that name may do what the scope allows.",
            )
        yield from _of_users(position, "scope_claims", paths)


def _required_claims(checked: CheckedSettings) -> Iterator[Finding]:
    for position, issuer in enumerate(checked.config.issuers):
        paths = [path for path, _ in wanted_values(issuer.required_claims)]
        yield from _of_users(position, "required_claims", paths)


def _certificates(checked: CheckedSettings) -> Iterator[Finding]:
    for (table, key), ends_at in checked.certificate_ends.items():
        if checked.now >= ends_at:
            yield Finding(
                code="certificate-expired",
                severity="warning",
                table=table,
                key=key,
                reason="The certificate that gives the key ended on"
                f" {datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d}, and its key still verifies.",
                remedy="Ask for the current certificate, or give the key alone if it is meant to"
                " stay.",
            )


def _of_users(position: int, key: str, paths: list[ClaimPath]) -> Iterator[Finding]:
    for path in paths:
        if not _OF_USERS.isdisjoint(path):
            yield Finding(
                code="claim-of-users",
                severity="warning",
                table=f"{ISSUERS}.{position}",
                key=key,
                reason=f"Users can write {display_path(path)} themselves, with their own token.",
                remedy="Use a claim that only the issuer's administrators write: app_metadata.",
            )


ISSUER_RULES: Final[tuple[Callable[[CheckedSettings], Iterator[Finding]], ...]] = (
    _accepted,
    _access,
    _opaque,
    _scope_claims,
    _required_claims,
    _certificates,
)
