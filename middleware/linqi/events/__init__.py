"""What happened, as frozen values that hooks receive.

The modules group the events by subject; import them from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from linqi.events.dispatcher import (
    Dispatcher,
    VerboseHook,
)
from linqi.events.keys import (
    KeyFileNotRead,
    KeyFileRead,
    KeysExpired,
    KeySkipped,
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
    SkipReason,
    TokenRenewed,
)
from linqi.events.requests import (
    SocketClosed,
    StreamClosed,
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
    RefreshDenied,
    RefreshTokenReused,
    SessionRefreshed,
    SessionRevoked,
    SessionRouteFailed,
    SessionStarted,
)

__all__ = [
    "BackgroundTaskFailed",
    "Dispatcher",
    "Event",
    "Hook",
    "KeyFileNotRead",
    "KeyFileRead",
    "KeySkipped",
    "KeysExpired",
    "KeysNotFetched",
    "KeysRefreshed",
    "LoginThrottleFailed",
    "LoginThrottled",
    "RefreshDenied",
    "RefreshTokenReused",
    "RenewalDeferred",
    "RenewalDenied",
    "RenewalFailed",
    "RenewalNotDue",
    "RenewalSkipped",
    "RevocationFailed",
    "RevocationFeedLost",
    "RevocationFeedRestored",
    "ServicesNotStarted",
    "SessionCapReached",
    "SessionRefreshed",
    "SessionRevoked",
    "SessionRouteFailed",
    "SessionStarted",
    "SkipReason",
    "SocketClosed",
    "StreamClosed",
    "TokenRefused",
    "TokenRenewed",
    "VerboseHook",
]

Event: TypeAlias = (
    TokenRefused
    | SocketClosed
    | StreamClosed
    | TokenRenewed
    | RenewalNotDue
    | RenewalDeferred
    | RenewalSkipped
    | RenewalDenied
    | RenewalFailed
    | SessionCapReached
    | SessionStarted
    | SessionRefreshed
    | SessionRevoked
    | RefreshTokenReused
    | RefreshDenied
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
    | BackgroundTaskFailed
    | ServicesNotStarted
)
"""In the order of the guide and of the sinks."""

Hook: TypeAlias = Callable[[Event], None]
"""Receives every event, on the event loop: it must return at once and copy what it needs.

What it raises is logged and changes nothing else. `RenewalNotDue` would be made on nearly every
request, so only a `VerboseHook` receives it.
"""
