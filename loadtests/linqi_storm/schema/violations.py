"""The names of the rules that clients check in each response.

Result files, JUnit and comparisons identify invariants by these names: do not change them.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ANOTHER_IDENTITY",
    "ANOTHER_USER",
    "BOUNDED_RULES",
    "CLEARED_COOKIES",
    "CLIENT_RULES",
    "EARLY_RENEWALS",
    "EXPIRED",
    "FAILED",
    "FORCED_OUT",
    "FORGED",
    "HOSTILE_FAILED",
    "LONG_LIVES",
    "LONG_REFRESH",
    "NO_CHALLENGE",
    "NO_RETRY_AFTER",
    "NO_TOKEN",
    "NO_VARY",
    "OTHER_STATUS",
    "OUTLIVED_SESSIONS",
    "PREMATURE",
    "REFRESH_AS_ACCESS",
    "REFUSED_WITH_TOKEN",
    "REPLAYED_BRANCH",
    "REPLAYED_LATE",
    "REVOKED",
    "SAME_ID",
    "SHORT_LIVES",
    "STOLEN",
    "STORABLE_REFUSALS",
    "STORABLE_TOKENS",
    "SURVIVED_THEFT",
    "TOO_SOON",
    "TWO_SUCCESSORS",
    "UNANSWERED_DUE",
]

FORCED_OUT: Final = "forced logouts of honest users"
"""A session ended though its client did all that it should."""
FAILED: Final = "5xx other than an intended 503"
"""An honest request was answered so."""
TWO_SUCCESSORS: Final = "renewals with two different successors"
"""Requests with one token brought two successors, of which its client keeps only one."""
ANOTHER_IDENTITY: Final = "successors with another identity"
"""A new token drops or alters a claim of its session."""
ANOTHER_USER: Final = "answers for another user"
"""The application takes the client of one session for another, or for none."""
LONG_LIVES: Final = "tokens that outlive the lifetime"
"""``exp`` is more than a lifetime after ``iat``, or after the response."""
SHORT_LIVES: Final = "tokens that live shorter than the buffer"
"""``exp`` is less than a buffer after ``iat``, or after the request."""
OUTLIVED_SESSIONS: Final = "tokens that outlive their session"
"""``exp`` is after the end of the session, ``session_end``."""
LONG_REFRESH: Final = "refresh tokens that outlive their settings"
"""The response says that the refresh token or its session lasts longer than the settings allow."""
SAME_ID: Final = "new tokens with the id of an earlier one"
"""A new token of a session has the ``jti`` of another one: who revokes one revokes both."""
EARLY_RENEWALS: Final = "renewals before the token was due"
"""A response that arrived before the renewal window carries a successor."""
NO_CHALLENGE: Final = "refusals without a bearer challenge"
"""A 401 has no ``WWW-Authenticate: Bearer`` with its error (RFC 6750, section 3)."""
REFUSED_WITH_TOKEN: Final = "refusals that carry a token"
"""A refused response has a token in a header, a cookie or its body."""
STORABLE_REFUSALS: Final = "refusals that a cache may store"
"""A 401 has no ``Cache-Control: no-store``."""
OTHER_STATUS: Final = "refusals with another status than 401"
"""A request without a valid token was answered 3xx or 4xx, and not 401 (RFC 6750, section 3.1)."""
CLEARED_COOKIES: Final = "refusals that clear cookies"
"""A 401 to the request of a page deletes a cookie, which another response may just have renewed."""
HOSTILE_FAILED: Final = "hostile requests answered 5xx"
"""A request that must be refused was answered 5xx, other than an intended 503."""
STORABLE_TOKENS: Final = "tokens that a cache may store"
"""A response with a token has no ``no-store``, or a field that overrules it (RFC 9213)."""
NO_VARY: Final = "successors without Vary"
"""A response with a successor does not vary by the header that carries tokens, or by origin."""
UNANSWERED_DUE: Final = "due requests answered without a successor, per cent"
"""A request in the renewal window was answered 2xx without a successor."""
EXPIRED: Final = "expired tokens accepted"
"""A request that was sent after ``exp`` was answered 2xx."""
FORGED: Final = "forged tokens accepted"
"""A forged, foreign, damaged or otherwise hostile token was answered 2xx."""
NO_TOKEN: Final = "requests without a token accepted"
"""A GET or HEAD of a guarded page without a token was answered 2xx."""
REFRESH_AS_ACCESS: Final = "refresh tokens accepted as access tokens"
"""A refresh token was accepted where an access token is required."""
PREMATURE: Final = "tokens accepted before their time"
"""A response that arrived before ``nbf`` was 2xx."""
REVOKED: Final = "revoked tokens accepted past the bound"
"""A token was accepted a second after its session was signed out, or its refresh token ever."""
STOLEN: Final = "stolen refresh tokens accepted"
"""A refresh token that its owner had spent was redeemed."""
SURVIVED_THEFT: Final = "sessions that survived a detected theft"
"""A token of a session was accepted after the theft of its refresh token was detected."""
REPLAYED_LATE: Final = "spent refresh tokens replayed after the grace"
"""A spent refresh token brought the same successor again after the grace."""
REPLAYED_BRANCH: Final = "replays within the grace with another successor"
"""A spent refresh token brought a second successor within the grace."""
NO_RETRY_AFTER: Final = "429 without Retry-After"
"""A refresh was answered 429 and not told how long to wait (RFC 6585, section 4)."""
TOO_SOON: Final = "retries before the end of Retry-After"
"""A client sent a refresh again before the time that a 429 demands."""

CLIENT_RULES: Final = (
    *(ANOTHER_IDENTITY, ANOTHER_USER, LONG_LIVES, SHORT_LIVES, OUTLIVED_SESSIONS),
    *(EARLY_RENEWALS, NO_CHALLENGE, REFUSED_WITH_TOKEN, STORABLE_REFUSALS, STORABLE_TOKENS),
    *(NO_VARY, PREMATURE, STOLEN, SURVIVED_THEFT, REPLAYED_LATE, REPLAYED_BRANCH),
    *(LONG_REFRESH, SAME_ID, OTHER_STATUS, CLEARED_COOKIES, HOSTILE_FAILED, NO_TOKEN),
    *(REFRESH_AS_ACCESS, NO_RETRY_AFTER, TOO_SOON),
)
"""Rules that hold wherever they are checked: a single violation fails the run."""
BOUNDED_RULES: Final = (REVOKED, SURVIVED_THEFT)
"""Rules with a bound in time, which workers that wait for a core cannot keep."""
