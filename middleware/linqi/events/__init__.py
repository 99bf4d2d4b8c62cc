"""What happened, as frozen values that hooks receive.

The modules group the events by subject; import them from here.
"""

from typing import TYPE_CHECKING

from linqi._on_demand import on_demand

if TYPE_CHECKING:
    from linqi.events.dispatcher import (
        Dispatcher,
        VerboseHook,
    )
    from linqi.events.event import Event, Hook
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
        SkipReason,
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
else:
    __getattr__, __dir__ = on_demand(
        globals(),
        {
            "linqi.events.dispatcher": ("Dispatcher", "VerboseHook"),
            "linqi.events.event": ("Event", "Hook"),
            "linqi.events.introspection": (
                "AnswerRefused",
                "IntrospectionFailed",
                "IntrospectionThrottled",
                "TokenIntrospected",
            ),
            "linqi.events.keys": (
                "KeyFileNotRead",
                "KeyFileRead",
                "KeysExpired",
                "KeySkipped",
                "KeysMissing",
                "KeysNotAnnounced",
                "KeysNotFetched",
                "KeysRefreshed",
            ),
            "linqi.events.logins": ("LoginThrottled", "LoginThrottleFailed"),
            "linqi.events.renewal": (
                "RenewalDeferred",
                "RenewalDenied",
                "RenewalFailed",
                "RenewalNotDue",
                "RenewalSkipped",
                "SessionCapReached",
                "SkipReason",
                "TokenMoved",
                "TokenRenewed",
            ),
            "linqi.events.requests": (
                "RefusalBodyFailed",
                "SocketClosed",
                "StreamClosed",
                "TokenBridged",
                "TokenRefused",
            ),
            "linqi.events.revocation": (
                "RevocationFailed",
                "RevocationFeedLost",
                "RevocationFeedRestored",
            ),
            "linqi.events.services": ("BackgroundTaskFailed", "ServicesNotStarted"),
            "linqi.events.sessions": (
                "ClaimsOutdated",
                "ClaimsUpdated",
                "PurgeFellBehind",
                "RefreshDenied",
                "RefreshShared",
                "RefreshTokenReused",
                "RefreshTooLate",
                "SessionRefreshed",
                "SessionRevoked",
                "SessionRouteFailed",
                "SessionStarted",
                "StoreClockDiffers",
                "StoreForgot",
                "StoreWarning",
            ),
        },
    )

__all__ = [
    "AnswerRefused",
    "BackgroundTaskFailed",
    "ClaimsOutdated",
    "ClaimsUpdated",
    "Dispatcher",
    "Event",
    "Hook",
    "IntrospectionFailed",
    "IntrospectionThrottled",
    "KeyFileNotRead",
    "KeyFileRead",
    "KeySkipped",
    "KeysExpired",
    "KeysMissing",
    "KeysNotAnnounced",
    "KeysNotFetched",
    "KeysRefreshed",
    "LoginThrottleFailed",
    "LoginThrottled",
    "PurgeFellBehind",
    "RefreshDenied",
    "RefreshShared",
    "RefreshTokenReused",
    "RefreshTooLate",
    "RefusalBodyFailed",
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
    "StoreClockDiffers",
    "StoreForgot",
    "StoreWarning",
    "StreamClosed",
    "TokenBridged",
    "TokenIntrospected",
    "TokenMoved",
    "TokenRefused",
    "TokenRenewed",
    "VerboseHook",
]
