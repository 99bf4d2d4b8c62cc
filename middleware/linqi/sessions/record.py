"""A session as it is stored: one row, whose counter is the number of the current refresh token."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

__all__ = [
    "EVERY_SUBJECT",
    "OutcomeKind",
    "Revocation",
    "RevocationCause",
    "RotationOutcome",
    "SessionRecord",
    "claims_changed",
]

RevocationCause: TypeAlias = Literal[
    "", "logout", "reuse", "limit", "admin", "lost", "password", "disabled"
]
"""Why a session was revoked; ``limit``: the subject started too many sessions; ``lost``: the store
lost an earlier revocation, or may have lost one; ``password``: it was changed; ``disabled``: the
account was."""

EVERY_SUBJECT: Final = ""
"""The value of a `Revocation` of the kind ``subject`` that concerns all of them; no subject is
empty. Workers of an earlier release read it and refuse nothing."""

OutcomeKind: TypeAlias = Literal[
    "rotated", "replayed", "recovered", "reused", "revoked", "expired", "unknown", "late"
]
"""What came of a refresh token; ``late``: its command was executed after its deadline, and changed
nothing."""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session. It contains no token and no secret.

    Instants are Unix seconds of the store's clock, except `started_at`.
    """

    session_id: str
    subject: str
    counter: int = 0
    """The number of the current refresh token."""
    parent: int = -1
    """The number of the token that was exchanged for the current one; -1 for the first."""
    rotated_at: float
    """When the current token was made."""
    first_rotated_at: float
    """When the parent was first exchanged for another token. A recovery, which exchanges it again,
    does not change it."""
    started_at: float
    """``auth_time``: when the user signed in, by the clock of the worker, as other services judge
    it by wall clocks."""
    expires_at: float
    """When the current token expires unless it is used (idle)."""
    ends_at: float
    """The absolute end of the session; never changed."""
    revoked_at: float = 0.0
    """0 if it is not revoked."""
    cause: str = ""
    claims: str = "{}"
    """The application's claims as a JSON object, ``scope`` included."""
    device: str = ""
    """What the application stored about the device, for the list of sessions."""

    def is_live(self, now: float) -> bool:
        """Return whether the session can be refreshed at `now`."""
        return not self.revoked_at and now < self.expires_at and now < self.ends_at


class RotationOutcome(msgspec.Struct, frozen=True):
    """The outcome of presenting a refresh token."""

    kind: OutcomeKind
    record: SessionRecord | None
    """The row after it; None if there is no row, or it was not read."""
    at: float
    """When it was decided, by the store's clock."""
    forgotten: int = 0
    """How many rotations the store had lost, if the token was ahead of the row and was taken over;
    otherwise 0."""
    is_published: bool = True
    """Of a revoked session: False if a failover may still undo the notice to the workers, even
    where they know of it."""


class Revocation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every worker must refuse from now on.

    ``session``: tokens whose ``sid`` is `value`. ``subject``: tokens of the subject `value` whose
    session began before `at`, except those of the session `kept_session`; of all subjects if
    `value` is empty. ``token``: the token
    whose ``jti`` is `value`; if that is empty, which no ``jti`` is, the tokens of the subject
    `kept_session` whose claims are as of an instant before `at` (see `claims_changed`), until they
    are refreshed. ``lifetime`` refuses nothing: it says that access tokens may live for
    `value` seconds now, so that a worker with a shorter setting knows it before it receives one.
    """

    kind: Literal["session", "subject", "token", "lifetime"]
    """Another one, of a later release, is not decoded: it may revoke what is accepted here."""
    value: str
    at: float
    """When it was published; of a subject, the second before which its sessions began."""
    until: float
    """From here on no access token that it could concern is valid."""
    kept_session: str = msgspec.field(default="", name="spared")
    """``spared`` in JSON and in the tables, as earlier schemas wrote it."""

    def lasting(self, until: float) -> Revocation:
        """Return this revocation with the end `until`."""
        return msgspec.structs.replace(self, until=until)


def claims_changed(subject: str, mark: float) -> Revocation:
    """Return the entry of the feed that says that the claims of `subject` changed at `mark`.

    It is that of a token without an id: no ``jti`` is empty (V13), so workers of an earlier release
    read it and refuse nothing. They could not read another kind, and would answer 503.
    """
    return Revocation(kind="token", value="", at=mark, until=mark, kept_session=subject)
