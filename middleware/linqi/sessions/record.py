"""A session as it is kept: one row, whose counter names the refresh token that is current."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["Cause", "Outcome", "OutcomeKind", "Revocation", "SessionRecord"]

Cause: TypeAlias = Literal["", "logout", "reuse", "limit", "admin"]
"""Why a session was revoked; ``limit``: the subject started too many."""

OutcomeKind: TypeAlias = Literal[
    "rotated", "replayed", "recovered", "reused", "revoked", "expired", "unknown"
]


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session. Instants are Unix seconds; no token or secret is in it."""

    session_id: str
    subject: str
    counter: int = 0
    """The number of the refresh token that is current."""
    parent: int = -1
    """The number of the token that was presented for the current one; -1 for the first."""
    rotated_at: float
    """When the current token was made."""
    first_rotated_at: float
    """When the first token in the parent's place was made; a recovery, which makes another one,
    does not change it."""
    started_at: float
    """``auth_time``: when the user signed in."""
    expires_at: float
    """When the current token expires unless it is used (idle)."""
    ends_at: float
    """When the session ends for good; never changed."""
    revoked_at: float = 0.0
    """0 while it is not."""
    cause: str = ""
    claims: str = "{}"
    """The application's claims, as a JSON object; ``scope`` is one of them."""
    device: str = ""
    """What the application noted about the device, for the list of sessions."""

    def is_live(self, now: float) -> bool:
        """Tell whether the session can be refreshed at `now`."""
        return not self.revoked_at and now < self.expires_at and now < self.ends_at


class Outcome(msgspec.Struct, frozen=True):
    """What presenting a refresh token led to, and the row after it; no row where there is none."""

    kind: OutcomeKind
    record: SessionRecord | None


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """What every worker must refuse from now on.

    ``session``: tokens whose ``sid`` is `value`. ``subject``: tokens of the subject `value` whose
    session began before `at`, but for the session `spared`. ``token``: the one whose ``jti`` is
    `value`. ``lifetime`` refuses nothing: it says that access tokens may live for `value` seconds
    now, so that a worker with a shorter setting knows it before it meets one.
    """

    kind: Literal["session", "subject", "token", "lifetime"]
    value: str
    at: float
    until: float
    """From here on no access token that it could concern is alive."""
    spared: str = ""

    def lasting(self, until: float) -> Revocation:
        """Return this revocation with another end."""
        return msgspec.structs.replace(self, until=until)
