"""Verify JSON Web Tokens in front of any ASGI application and renew them near expiry.

::

    signer = Signer(Key.from_secret(secret), issuer="https://shop.example", audience="shop")
    renewal = SlidingRenewal(signer)
    app = JWTMiddleware(api, Verifier.trusting(signer), renewal=renewal, public=["/login"])

    token = renewal.start("alice").token  # inside /login
"""

from linqi import errors, events
from linqi.asgi.authentication import Authenticate, Person
from linqi.asgi.guards import RequireLogin, RequireScopes, has_scopes
from linqi.asgi.jwks_route import jwks_route
from linqi.asgi.lifespan import Service
from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.routes import SessionRoutes
from linqi.asgi.sockets import SocketClosedError, SocketSession
from linqi.asgi.streams import StreamClosedError, StreamSession
from linqi.asgi.throttle import LoginThrottle
from linqi.asgi.transports import (
    CookieTransport,
    HeaderTransport,
    SubprotocolTransport,
    Transport,
)
from linqi.errors import ConfigurationError, LinqiError, TokenError
from linqi.events import Event, Hook
from linqi.instrumentation.logging import LoggingHook
from linqi.jose.cache import CacheInfo, VerifiedCache
from linqi.jose.issuers import ANY_AUDIENCE, AnyAudience, TrustedIssuer
from linqi.jose.key import ALGORITHMS, Key
from linqi.jose.keys import KeySet, KeySource
from linqi.jose.limits import TokenLimits
from linqi.jose.rotation import SigningKeyRotation, rotate
from linqi.jose.signer import Signer
from linqi.jose.verified import ANONYMOUS, Anonymous, Verified
from linqi.jose.verifier import Verifier
from linqi.jwks.freshness import RefreshSettings
from linqi.jwks.http import RemoteLimits
from linqi.jwks.key_file import KeyFile
from linqi.jwks.published import SkippedKey
from linqi.jwks.remote import RemoteKeys
from linqi.jwks.snapshot import Snapshot
from linqi.jwks.state import KeysState
from linqi.sessions.budget import RenewalBudget
from linqi.sessions.dual import AuthorizeRefresh, Sessions
from linqi.sessions.pair import TokenPair
from linqi.sessions.record import Revocation, SessionRecord
from linqi.sessions.refresh import SessionSettings
from linqi.sessions.renewal import Grid, Jitter, Policy, RenewalSettings, Threshold, TokenSpan
from linqi.sessions.revocation import Revocations, RevocationState
from linqi.sessions.sliding import Authorize, Issued, PendingRenewal, RenewalCounts, SlidingRenewal
from linqi.sessions.store import SessionStore
from linqi.stores.memory import MemoryStore
from linqi.stores.postgres import PostgresStore
from linqi.stores.sqlite import SQLiteStore
from linqi.stores.store_url import open_attempts
from linqi.stores.valkey import ValkeyStore

__version__ = "0.1.0"

__all__ = [
    "ALGORITHMS",
    "ANONYMOUS",
    "ANY_AUDIENCE",
    "Anonymous",
    "AnyAudience",
    "Authenticate",
    "Authorize",
    "AuthorizeRefresh",
    "CacheInfo",
    "ConfigurationError",
    "CookieTransport",
    "Event",
    "Grid",
    "HeaderTransport",
    "Hook",
    "Issued",
    "JWTMiddleware",
    "Jitter",
    "Key",
    "KeyFile",
    "KeySet",
    "KeySource",
    "KeysState",
    "LinqiError",
    "LoggingHook",
    "LoginThrottle",
    "MemoryStore",
    "PendingRenewal",
    "Person",
    "Policy",
    "PostgresStore",
    "RefreshSettings",
    "RemoteKeys",
    "RemoteLimits",
    "RenewalBudget",
    "RenewalCounts",
    "RenewalSettings",
    "RequireLogin",
    "RequireScopes",
    "Revocation",
    "RevocationState",
    "Revocations",
    "SQLiteStore",
    "Service",
    "SessionRecord",
    "SessionRoutes",
    "SessionSettings",
    "SessionStore",
    "Sessions",
    "Signer",
    "SigningKeyRotation",
    "SkippedKey",
    "SlidingRenewal",
    "Snapshot",
    "SocketClosedError",
    "SocketSession",
    "StreamClosedError",
    "StreamSession",
    "SubprotocolTransport",
    "Threshold",
    "TokenError",
    "TokenLimits",
    "TokenPair",
    "TokenSpan",
    "Transport",
    "TrustedIssuer",
    "ValkeyStore",
    "Verified",
    "VerifiedCache",
    "Verifier",
    "errors",
    "events",
    "has_scopes",
    "jwks_route",
    "open_attempts",
    "rotate",
]
