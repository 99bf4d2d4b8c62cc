"""The settings that decide when a person must sign in again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

__all__ = ["RulePolicy", "SessionRule", "policy_of"]

RulePolicy: TypeAlias = Literal["grid", "plain", "jitter"]


def policy_of(name: str) -> RulePolicy:
    """Return the policy that settings call `name`."""
    return cast("RulePolicy", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRule:
    """How sessions are kept alive; durations in seconds.

    Attributes:
        lifetime: How long a person may stay away after the last renewal: the life of a sliding
            token, or of an unused refresh token.
        buffer: The least time before the end of `lifetime` in which a request renews.
        policy: Which instants are due: ``grid``, ``plain`` or ``jitter``.
        jitter_width: The share of the period by which ``jitter`` shortens lives.
        max_session: The longest life of a session, whatever its activity.
        cap_spread: The share of `max_session` by which sessions may end earlier.

    """

    lifetime: float
    buffer: float
    policy: RulePolicy = "grid"
    jitter_width: float = 0.1
    max_session: float = 28_800.0
    cap_spread: float = 0.1

    @property
    def period(self) -> float:
        """``lifetime - buffer``, in seconds."""
        return self.lifetime - self.buffer

    @classmethod
    def for_refresh_tokens(
        cls, lifetime: float, buffer: float, idle: float, absolute: float
    ) -> SessionRule:
        """Return the rule of sessions with refresh tokens.

        The client redeems its refresh token at the first request for which its access token is near
        expiry, once in each period of the grid. The session ends after `idle` seconds without a
        redemption, and `absolute` seconds after the sign-in. A redemption is counted from the grid
        point before it, so the prediction is at most one pause too cautious.
        """
        return cls(lifetime=idle, buffer=max(0.0, idle - (lifetime - buffer)), max_session=absolute)

    def session_length(self, share: float) -> float:
        """Return the life of a session that ends earlier by `share` of the spread, 0 to 1."""
        return max(self.max_session * (1 - self.cap_spread * share), self.lifetime)

    def shortened(self, lifetime: float) -> SessionRule:
        """Return the rule with a shorter `lifetime` and a buffer in proportion."""
        share = lifetime / self.lifetime
        if share >= 1 or not math.isfinite(share):
            return self
        return SessionRule(
            lifetime=lifetime,
            buffer=self.buffer * share,
            policy=self.policy,
            jitter_width=self.jitter_width,
            max_session=self.max_session,
            cap_spread=self.cap_spread,
        )
