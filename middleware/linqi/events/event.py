"""The union of all events, which a hook receives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from linqi.events.introspection import (
    AnswerRefused,
    IntrospectionFailed,
    IntrospectionThrottled,
    TokenIntrospected,
)
from linqi.events.keys import (
    KeyFileNotRead,
    KeyFileRead,
    KeysExpired,
    KeySkipped,
    KeysMissing,
    KeysNotAnnounced,
    KeysNotFetched,
    KeysRefreshed,
)
from linqi.events.logins import (
    LoginThrottled,
    LoginThrottleFailed,
)
from linqi.events.renewal import (
    RenewalDeferred,
    RenewalDenied,
    RenewalFailed,
    RenewalNotDue,
    RenewalSkipped,
    SessionCapReached,
    TokenMoved,
    TokenRenewed,
)
from linqi.events.requests import (
    RefusalBodyFailed,
    SocketClosed,
    StreamClosed,
    TokenBridged,
    TokenRefused,
)
from linqi.events.revocation import (
    RevocationFailed,
    RevocationFeedLost,
    RevocationFeedRestored,
)
from linqi.events.services import (
    BackgroundTaskFailed,
    ServicesNotStarted,
)
from linqi.events.sessions import (
    ClaimsOutdated,
    ClaimsUpdated,
    PurgeFellBehind,
    RefreshDenied,
    RefreshShared,
    RefreshTokenReused,
    RefreshTooLate,
    SessionRefreshed,
    SessionRevoked,
    SessionRouteFailed,
    SessionStarted,
    StoreClockDiffers,
    StoreForgot,
    StoreWarning,
)

__all__ = ["Event", "Hook"]

Event: TypeAlias = (
    TokenRefused
    | SocketClosed
    | StreamClosed
    | RefusalBodyFailed
    | TokenBridged
    | TokenRenewed
    | RenewalNotDue
    | RenewalDeferred
    | RenewalSkipped
    | RenewalDenied
    | RenewalFailed
    | SessionCapReached
    | TokenMoved
    | SessionStarted
    | SessionRefreshed
    | RefreshShared
    | SessionRevoked
    | ClaimsOutdated
    | ClaimsUpdated
    | RefreshTokenReused
    | RefreshDenied
    | RefreshTooLate
    | StoreClockDiffers
    | StoreWarning
    | PurgeFellBehind
    | StoreForgot
    | SessionRouteFailed
    | LoginThrottled
    | LoginThrottleFailed
    | RevocationFailed
    | RevocationFeedLost
    | RevocationFeedRestored
    | KeysRefreshed
    | KeysNotFetched
    | KeySkipped
    | KeysExpired
    | KeyFileRead
    | KeyFileNotRead
    | KeysMissing
    | KeysNotAnnounced
    | TokenIntrospected
    | AnswerRefused
    | IntrospectionFailed
    | IntrospectionThrottled
    | BackgroundTaskFailed
    | ServicesNotStarted
)
"""In the order of the guide and of the sinks."""

Hook: TypeAlias = Callable[[Event], None]
"""Receives every event, on the event loop: it must return at once and copy what it needs.

What it raises is logged and changes nothing else. `RenewalNotDue` would be made on nearly every
request, so only a `VerboseHook` receives it.
"""
