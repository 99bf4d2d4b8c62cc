"""Rules about lifetimes and about renewal storms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final

from linqi.config.findings import CheckedSettings, Finding
from linqi.config.lifetime_tables import RenewalTable
from linqi.config.setting import settings_of
from linqi.jose.rotation import USUAL_LEAD
from linqi.sessions.storm_factor import storm_factor

__all__ = ["LIFETIME_RULES", "first_storm_factor"]

_LONGEST_ACCESS: Final = 900
_DAY: Final = 86_400
_MOST_FORGOTTEN: Final = 10
_PAGES_PER_SECOND: Final = 0.1
"""Visits of the session that storm factors are stated for: a page every 10 seconds."""
_LEAST_BUFFER_SHARE: Final = 0.1


def first_storm_factor(renewal: RenewalTable) -> float:
    """Return the storm factor of the first renewals after all sessions signed in at once.

    For sessions that ask for a page every 10 seconds, at the first instant of the peak. A session
    then renews ``rate`` times per second with plain, and ``(1 - exp(-rate * J)) / J`` times with
    a jitter of J seconds.
    """
    period = renewal.lifetime_seconds - renewal.buffer_seconds
    peak = 1 / period
    if renewal.policy == "plain":
        peak = _PAGES_PER_SECOND
    elif renewal.policy == "jitter":
        width = renewal.jitter_width * period
        peak = -math.expm1(-_PAGES_PER_SECOND * width) / width
    return storm_factor(peak, 1, period)


def _access_lifetime(checked: CheckedSettings) -> Iterator[Finding]:
    lifetime = checked.config.renewal.lifetime_seconds
    if checked.config.has_keys and lifetime > _LONGEST_ACCESS:
        yield Finding(
            code="access-lifetime-long",
            severity="warning",
            table="renewal",
            key="lifetime_seconds",
            reason=f"A stolen access token works for up to {lifetime:g} s.",
            remedy=f"Lower it to {_LONGEST_ACCESS} or less; renewal keeps sessions alive.",
        )


def _longest_lifetime(checked: CheckedSettings) -> Iterator[Finding]:
    renewal = checked.config.renewal
    longest = renewal.longest_lifetime_seconds
    if longest is None or not checked.config.has_keys:
        return
    if longest <= renewal.lifetime_seconds:
        yield Finding(
            code="unused",
            severity="warning",
            table="renewal",
            key="longest_lifetime_seconds",
            reason="It is not above lifetime_seconds, so it has no effect.",
            remedy="Remove it.",
        )
        return
    yield Finding(
        code="longest-lifetime",
        severity="warning" if longest > _DAY else "note",
        table="renewal",
        key="longest_lifetime_seconds",
        reason=f"Own tokens that live up to {longest:g} s are accepted, although new ones live"
        f" {renewal.lifetime_seconds:g} s, and revocations are kept as long.",
        remedy=f"Remove it {longest:g} s after lifetime_seconds was lowered, unless you sign tokens"
        " with longer lives yourself.",
    )


def _buffer(checked: CheckedSettings) -> Iterator[Finding]:
    renewal = checked.config.renewal
    if checked.config.slides and renewal.buffer_seconds < (
        _LEAST_BUFFER_SHARE * renewal.lifetime_seconds
    ):
        yield Finding(
            code="buffer-thin",
            severity="warning",
            table="renewal",
            key="buffer_seconds",
            reason=f"A user who sends no request in the last {renewal.buffer_seconds:g} s of a"
            " token, which is all the time that some tokens are near expiry, is signed out.",
            remedy="Raise it towards a third of the lifetime; `linqi tune` recommends a value.",
        )


def _policy(checked: CheckedSettings) -> Iterator[Finding]:
    renewal = checked.config.renewal
    factor = first_storm_factor(renewal)
    if not checked.config.slides or renewal.policy == "grid":
        return
    yield Finding(
        code=f"policy-{renewal.policy}",
        severity="warning" if factor >= 2 else "note",
        table="renewal",
        key="policy",
        reason=f"After a common sign-in renewals peak at about {factor:.1f} times their mean rate,"
        " for users who request a page every 10 s.",
        remedy='Set policy = "grid", whose first peak is the mean rate.',
    )


def _session_cap(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    for is_used, table, key, value, most in (
        (config.slides, "renewal", "max_session_seconds", config.renewal.max_session_seconds, 30),
        (config.has_store, "sessions", "absolute_seconds", config.sessions.absolute_seconds, 90),
    ):
        if is_used and value > most * _DAY:
            yield Finding(
                code="session-cap-long",
                severity="warning",
                table=table,
                key=key,
                reason=f"A session can last {value / _DAY:g} days, and so can a stolen one.",
                remedy=f"Decide how long a user may stay signed in; {most} days at most.",
            )


def _unused(checked: CheckedSettings) -> Iterator[Finding]:
    config, renewal = checked.config, checked.config.renewal
    width = settings_of(RenewalTable)["jitter_width"].default
    for is_unused, table, key, reason in (
        (
            renewal.policy != "jitter" and renewal.jitter_width != width,
            "renewal",
            "jitter_width",
            f'Only policy = "jitter" uses it, and the policy is {renewal.policy}.',
        ),
        (
            config.budget.renewals_per_second is not None and not config.slides,
            "budget",
            "renewals_per_second",
            "Sliding renewal is off, so no renewal is counted.",
        ),
        (
            bool(config.store.secrets_file or config.store.secrets_env) and not config.has_store,
            "store",
            "url",
            "There are secrets for refresh tokens, but no store for sessions.",
        ),
        (
            config.verify.issuer is not None and bool(config.issuers) and not config.has_keys,
            "verify",
            "issuer",
            "Only signing keys use it, and there are none; outside issuers belong in [[issuers]].",
        ),
    ):
        if is_unused:
            yield Finding(
                code="unused",
                severity="warning",
                table=table,
                key=key,
                reason=reason,
                remedy="Remove it, or set the key that it depends on.",
            )


def _cap_spread(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    for is_used, table, value in (
        (config.slides, "renewal", config.renewal.cap_spread),
        (config.has_store, "sessions", config.sessions.cap_spread),
    ):
        if is_used and value == 0:
            yield Finding(
                code="cap-in-step",
                severity="warning",
                table=table,
                key="cap_spread",
                reason="Users who signed in together are signed out in the same second, and sign in"
                " again together.",
                remedy="Set it to 0.1.",
            )


def _times(checked: CheckedSettings) -> Iterator[Finding]:
    renewal = checked.config.renewal
    if (
        checked.config.has_keys
        and not renewal.whole_second_times
        and renewal.lifetime_seconds >= 60
    ):
        yield Finding(
            code="fractional-times",
            severity="warning",
            table="renewal",
            key="whole_second_times",
            reason="Some libraries reject an exp that is not a whole number.",
            remedy="Remove it; it is for load tests with compressed lifetimes.",
        )


def _cache(checked: CheckedSettings) -> Iterator[Finding]:
    config = checked.config
    kept = config.cache.lifetime_seconds
    if not config.cache.enabled:
        yield Finding(
            code="cache-off",
            severity="note",
            table="cache",
            key="enabled",
            reason="Every request costs a signature check.",
            remedy="Remove it, unless memory is very scarce.",
        )
    elif config.has_store and kept > max(60, config.store.stale_after_seconds):
        yield Finding(
            code="cache-over-bound",
            severity="warning",
            table="cache",
            key="lifetime_seconds",
            reason=f"A verification is cached for {kept:g} s, longer than the bound on revocation"
            f" ({config.store.stale_after_seconds:g} s): only the feed of revocations then stops"
            " a revoked token.",
            remedy=f"Lower it to {max(60, config.store.stale_after_seconds):g} or less; few hits"
            " come later than that.",
        )


def _grace(checked: CheckedSettings) -> Iterator[Finding]:
    sessions = checked.config.sessions
    if checked.config.has_store and sessions.grace_seconds == 0:
        yield Finding(
            code="grace-none",
            severity="warning",
            table="sessions",
            key="grace_seconds",
            reason="Two tabs that refresh at the same time look like token theft"
            + ("." if sessions.recover_seconds else ", and the session ends."),
            remedy="Set it to 10.",
        )


def _recover(checked: CheckedSettings) -> Iterator[Finding]:
    """Report the trade-off of RFC 9700, section 4.14.2: lost replies or reusable spent tokens."""
    sessions = checked.config.sessions
    if not checked.config.has_store:
        return
    seconds = sessions.recover_seconds
    if seconds <= sessions.grace_seconds:
        yield Finding(
            code="recover-none",
            severity="note",
            table="sessions",
            key="recover_seconds",
            reason="A client that retries a lost reply after grace_seconds is signed out, as if its"
            " refresh token were stolen (RFC 9700, 4.14.2).",
            remedy=f"Keep it if that is intended; {_DAY} keeps a phone that was asleep signed in.",
        )
        return
    yield Finding(
        code="recover-window",
        severity="warning" if seconds > _DAY else "note",
        table="sessions",
        key="recover_seconds",
        reason=f"A stolen refresh token works for up to {seconds:g} s after it was spent, while its"
        " successor is unused; the theft shows when that is presented (RFC 9700, 4.14.2).",
        remedy=f"Lower it to {_DAY} or less."
        if seconds > _DAY
        else "Keep it for clients that lose replies; 0 ends the session instead.",
    )


def _forgotten(checked: CheckedSettings) -> Iterator[Finding]:
    """Report a `most_forgotten` that no failover needs."""
    most = checked.config.sessions.most_forgotten
    if checked.config.has_store and most > _MOST_FORGOTTEN:
        yield Finding(
            code="forgotten-many",
            severity="warning",
            table="sessions",
            key="most_forgotten",
            reason=f"After a loss of the store, up to {most} spent tokens of a session work once"
            " more.",
            remedy=f"Lower it to {_MOST_FORGOTTEN} or less; after a restored backup use"
            " `linqi store restored`, whose number ends by itself.",
        )


def _client(checked: CheckedSettings) -> Iterator[Finding]:
    client, lifetime = checked.config.client, checked.config.renewal.lifetime_seconds
    if checked.config.has_keys and client.advisory_seconds > client.share * lifetime:
        yield Finding(
            code="client-early",
            severity="note",
            table="client",
            key="advisory_seconds",
            reason=f"Clients use {client.share * lifetime:g} s, {client.share:g} of the lifetime.",
            remedy="Lower it to the value that clients use.",
        )


def _jwks(checked: CheckedSettings) -> Iterator[Finding]:
    jwks = checked.config.jwks
    if all(issuer.keys_file or issuer.keys_env for issuer in checked.config.issuers):
        return
    if jwks.lifetime_seconds > USUAL_LEAD:
        yield Finding(
            code="jwks-over-overlap",
            severity="warning",
            table="jwks",
            key="lifetime_seconds",
            reason=f"Keys are kept for {jwks.lifetime_seconds:g} s, but a rotated key usually"
            f" signs {USUAL_LEAD:g} s after it is published: the first requests wait for a fetch.",
            remedy=f"Lower it to {USUAL_LEAD:g} or less.",
        )
    longest = max(jwks.most_lifetime_seconds, jwks.lifetime_seconds) + jwks.stale_seconds
    if longest > _DAY:
        yield Finding(
            code="jwks-trusted-long",
            severity="warning",
            table="jwks",
            key="stale_seconds",
            reason=f"A key that the issuer withdrew may verify for {longest / 3600:g} hours while"
            " the issuer is unreachable.",
            remedy="Lower stale_seconds or most_lifetime_seconds.",
        )


LIFETIME_RULES: Final[tuple[Callable[[CheckedSettings], Iterator[Finding]], ...]] = (
    _access_lifetime,
    _longest_lifetime,
    _buffer,
    _policy,
    _session_cap,
    _unused,
    _cap_spread,
    _times,
    _cache,
    _grace,
    _recover,
    _forgotten,
    _client,
    _jwks,
)
