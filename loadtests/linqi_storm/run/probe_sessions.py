"""The sessions of probes: planned over a run, and their tokens signed or stored."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from linqi import KeySet, Sessions, Signer
from linqi.stores.memory import MemoryStore
from linqi_storm.run.targets import refused_tokens, sign_sliding
from linqi_storm.scenarios.base import Scenario
from linqi_storm.schema.generator_plan import StormClients, StormLogin, TokenSource
from linqi_storm.schema.identity import claims_of, scopes_of
from linqi_storm.schema.probes import PAST_SECONDS, PROBES_PER_SECOND, Probe, ProbeKind

__all__ = [
    "DEAD_SESSIONS",
    "STORED_KINDS",
    "clients_by_key",
    "dated",
    "dead_tokens",
    "has_own_users",
    "online_probes",
    "planned_probes",
    "probe_claims",
    "signed_probes",
    "stored_probes",
]

STORED_KINDS: Final[tuple[ProbeKind, ...]] = (
    "signed_out",
    "stolen",
    "in_grace",
    "past_grace",
    "past_recovery",
)
"""Those that need a session in a store."""
DEAD_SESSIONS: Final = 20
"""Sessions that have ended, whose refresh tokens are presented again and again."""
_LAST_SECONDS: Final = 0.5
_ANOTHER_ISSUER: Final = "https://another.linqi.example"
_LIVE_SECONDS: Final = 1.0
"""From the start of a probe until its token expires."""
_REST_SECONDS: Final = 0.3
"""From the expiry of a session's last token but one until the session's end."""
_MOST_ONLINE: Final = 20
"""Extra logins of a kind at a deployment."""
_SLACK_SECONDS: Final = 5.0


def planned_probes(scenario: Scenario, *kinds: ProbeKind) -> list[Probe]:
    """Return the probes of some kinds, evenly spread over the run, without tokens."""
    ends = scenario.load.duration - _LAST_SECONDS
    planned = []
    for place, kind in enumerate(kinds):
        step = 1 / PROBES_PER_SECOND[kind]
        first = step * (place + 1) / (len(kinds) + 1)
        starts = itertools.takewhile(lambda at: at < ends, itertools.count(first, step))
        planned += [Probe(kind=kind, begins_at=at) for at in starts]
    return planned


def online_probes(scenario: Scenario) -> list[Probe]:
    """Return the probes for a deployment whose login is all that is known of it."""
    if scenario.mode != "dual":
        return []
    kinds: tuple[ProbeKind, ...] = ("signed_out", "stolen")
    return [probe for kind in kinds for probe in planned_probes(scenario, kind)[:_MOST_ONLINE]]


def has_own_users(login: StormLogin) -> bool:
    """Return whether each client signs in as a user of its own.

    If all clients were one user, more sessions could revoke the oldest.
    """
    return any("{n}" in value for value in login.body.values())


def dated(probe: Probe, begins_at: float) -> Probe:
    """Return a probe with its instant: ``exp``, or ``nbf``."""
    start = begins_at + probe.begins_at
    if probe.kind == "premature":
        return replace(probe, instant=start + _past(probe))
    return replace(probe, instant=start + _LIVE_SECONDS)


def probe_claims(probe: Probe, scenario: Scenario, run: str) -> dict[str, Any]:
    """Return the claims of the access token of a dated probe."""
    lifetime = scenario.load.lifetime
    subject = f"probe-{secrets.token_hex(4)}"
    is_early = probe.kind == "premature"
    expires_at = probe.instant + lifetime / 2 if is_early else probe.instant
    issued_at = probe.instant - lifetime / 2 if is_early else expires_at - lifetime
    claims: dict[str, Any] = {
        "sub": subject,
        "sid": secrets.token_urlsafe(16),
        "jti": secrets.token_urlsafe(16),
        "scope": " ".join(scopes_of(subject)),
        **claims_of(run, subject),
        "auth_time": issued_at,
        "session_end": expires_at + 3_600,
        "iat": issued_at,
        "exp": expires_at,
    }
    if is_early:
        claims["nbf"] = probe.instant
    if probe.kind == "ending":
        claims["session_end"] = expires_at + _REST_SECONDS
    return claims


def signed_probes(
    source: TokenSource, scenario: Scenario, begins_at: float, run: str
) -> list[Probe]:
    """Return the probes whose access tokens the key of the run signs."""
    kinds: tuple[ProbeKind, ...] = ("expiring", "premature", "foreign")
    if scenario.mode == "sliding":
        kinds = (*kinds, "ending")
    signer = Signer(KeySet.load(Path(source.jwks)), issuer=source.issuer, audience=source.audience)
    foreign = Signer(
        KeySet.load(Path(source.jwks)), issuer=_ANOTHER_ISSUER, audience=source.audience
    )
    dates = [dated(probe, begins_at) for probe in planned_probes(scenario, *kinds)]
    return [
        replace(
            probe,
            token=(foreign if probe.kind == "foreign" else signer).sign(
                probe_claims(probe, scenario, run)
            ),
        )
        for probe in dates
    ]


async def clients_by_key(
    source: TokenSource, scenario: Scenario, begins_at: float, run: str
) -> StormClients:
    """Return all clients of a service with sliding sessions, signed with its key."""
    held = await sign_sliding(source, scenario, begins_at, run)
    return StormClients(
        begins_at=begins_at,
        credentials=tuple(held),
        refused=tuple(refused_tokens(source, begins_at)),
        probes=tuple(signed_probes(source, scenario, begins_at, run)),
    )


async def stored_probes(
    scenario: Scenario,
    sessions: Sessions,
    set_clock: Callable[[float], None],
    begins_at: float,
    run: str,
) -> list[Probe]:
    """Return the probes whose sessions are in the store of `sessions`.

    A store judges rotations by its own clock, so the past is made in a store in memory, and its
    rows are copied.

    Args:
        scenario: The scenario.
        sessions: The session service of the run.
        set_clock: Sets the clock of `sessions`.
        begins_at: The barrier, in Unix seconds.
        run: The name of the storm.

    """
    store, instant = sessions.store, begins_at
    past = sessions.store = MemoryStore(clock=lambda: instant)
    made = []
    try:
        for probe in planned_probes(scenario, *STORED_KINDS):
            spans = _spans(probe, sessions)
            if spans is None:
                continue
            subject = f"probe-{secrets.token_hex(4)}"
            rotated_at = begins_at + probe.begins_at - spans - _past(probe)
            is_spent = probe.kind in ("past_grace", "past_recovery")
            instant = rotated_at - 1 if is_spent else begins_at
            set_clock(instant)
            pair = await sessions.sign_in(
                subject, claims=claims_of(run, subject), scopes=scopes_of(subject)
            )
            probe = replace(probe, refresh_token=pair.refresh_token)
            if is_spent:
                instant = rotated_at
                set_clock(instant)
                newer = await sessions.refresh(pair.refresh_token)
                probe = replace(
                    probe,
                    instant=rotated_at + spans,
                    refresh_token=newer.refresh_token,
                    spent=pair.refresh_token,
                )
            made.append(probe)
            if (row := await past.get(pair.session_id)) is not None:
                await store.create(row, sessions.settings.most_sessions)
    finally:
        sessions.store = store
    return made


async def dead_tokens(sessions: Sessions) -> list[str]:
    """Return the refresh tokens of sessions that are signed in and out again."""
    dead = []
    for _ in range(DEAD_SESSIONS):
        pair = await sessions.sign_in(f"probe-{secrets.token_hex(4)}")
        await sessions.revoke_refresh_token(pair.refresh_token)
        dead.append(pair.refresh_token)
    return dead


def _spans(probe: Probe, sessions: Sessions) -> float | None:
    """Return for how long a spent token still counted; None if the settings have no such case."""
    settings = sessions.settings
    longest = max(settings.grace, settings.recover_seconds)
    if probe.kind == "past_grace":
        has_case = longest > settings.grace + max(PAST_SECONDS) + _SLACK_SECONDS
        return settings.grace if has_case else None
    if probe.kind == "past_recovery":
        return longest if longest + max(PAST_SECONDS) + _SLACK_SECONDS < settings.idle else None
    return 0.0


def _past(probe: Probe) -> float:
    """Return how far after its instant, or before it, a probe is presented."""
    step = 1 / PROBES_PER_SECOND[probe.kind]
    return PAST_SECONDS[int(probe.begins_at / step) % len(PAST_SECONDS)]
