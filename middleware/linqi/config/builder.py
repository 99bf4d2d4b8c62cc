"""Builds the objects that a `Config` describes, or reports every fault."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from linqi._notes import KeepsNotes
from linqi.asgi._http import ASGIApp
from linqi.asgi.authentication import Authenticate
from linqi.asgi.lifespan import Service
from linqi.asgi.middleware import JWTMiddleware
from linqi.asgi.refusal_format import OnRefusal, RefusalFormat
from linqi.asgi.resource_metadata import ResourceMetadata
from linqi.asgi.routes import SessionRoutes
from linqi.asgi.session_cookie import SessionCookie
from linqi.asgi.throttle import LoginThrottle
from linqi.asgi.transports import (
    CookieTransport,
    HeaderTransport,
    NamedHeaderTransport,
    SubprotocolTransport,
    Transport,
)
from linqi.config.bridge_table import BridgeTable
from linqi.config.faults import Faults
from linqi.config.http_tables import HttpTable
from linqi.config.issuers import ConfiguredIssuers, IssuersBuilder
from linqi.config.schema import Config
from linqi.config.session_store import attempts_of, key_set_share, refresh_secrets, store_of
from linqi.config.setting import arguments_for
from linqi.errors import ConfigurationError, StaleClaims, TokenRevoked, Unavailable
from linqi.events import Hook
from linqi.instrumentation.logging import LoggingHook
from linqi.jose.bridge import Bridge
from linqi.jose.keys import KeySet
from linqi.jose.signer import Signer
from linqi.jose.verifier import Verifier
from linqi.jwks.key_file import KeyFile
from linqi.sessions.authorization import AuthorizeRefresh
from linqi.sessions.dual import Sessions
from linqi.sessions.key_announcer import KeyAnnouncer
from linqi.sessions.revocation import Revocations
from linqi.sessions.sliding import SlidingRenewal
from linqi.sessions.successor_claims import Authorize

__all__ = ["Components", "build"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The objects of one process, built from one `Config`."""

    config: Config
    verifier: Verifier
    signer: Signer | None
    """None if only outside issuers are trusted."""
    renewal: SlidingRenewal | None
    """Starts sliding sessions and makes successors; None if there are no sliding sessions."""
    sessions: Sessions | None
    """The service for dual tokens; None without a store."""
    services: tuple[Service, ...]
    """The middleware starts them before the application and closes them after it."""
    transports: tuple[Transport, ...]
    throttle: LoginThrottle | None
    """The throttle of the session routes; None if it is off."""
    hooks: tuple[Hook, ...]
    clock: Callable[[], float]
    refusal: RefusalFormat | None = None
    """The format of the bodies of refused requests; None for that of RFC 6750."""
    resource: ResourceMetadata | None = None
    """The metadata of the protected resource, which is served; None without [resource] url."""
    authorize_move: Authorize | None = None
    """Called before a token of an earlier system gets one of ours."""

    def routes(self, app: ASGIApp, authenticate: Authenticate) -> SessionRoutes:
        """Return `app` with the session routes in front; a store is required."""
        if self.sessions is None:
            raise ConfigurationError(
                [f"{self.config.source}: authenticate needs [store]: set url or url_env"]
            )
        return SessionRoutes(
            app,
            self.sessions,
            self.verifier,
            authenticate,
            prefix=self.config.paths.sessions_prefix or "",
            origins=self.config.cookies.origins,
            cookie_name=self.config.cookies.refresh_name,
            cookie_secure=self.config.cookies.refresh_secure,
            throttle=self.throttle,
            revoke_session=self.config.sessions.revoke_session,
            authorize_move=self.authorize_move,
            realm=self.config.http.realm,
            clock=self.clock,
        )

    def options(self) -> dict[str, Any]:
        """Return the arguments of `JWTMiddleware`, except the application."""
        config = self.config
        return {
            "verifier": self.verifier,
            "renewal": self.renewal,
            "transports": self.transports,
            **arguments_for(JWTMiddleware, config.paths),
            **arguments_for(JWTMiddleware, config.http),
            **arguments_for(JWTMiddleware, config.signing),
            **arguments_for(JWTMiddleware, config.verify),
            "refusal": self.refusal,
            "resource_metadata": self.resource or config.http.resource_metadata,
            "services": self.services,
            "hooks": self.hooks,
            "clock": self.clock,
        }


def build(
    config: Config,
    *,
    authorize: Authorize | None = None,
    authorize_refresh: AuthorizeRefresh | None = None,
    authorize_move: Authorize | None = None,
    on_refusal: OnRefusal | None = None,
    tenants: Callable[[str], bool] | None = None,
    hooks: Sequence[Hook] | None = None,
    http_client: Any = None,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.time,
) -> Components:
    """Return the objects that `config` describes; they connect and fetch when they are started.

    Args:
        config: What `load` or `read` returned.
        authorize: Called before a successor of a sliding session is signed.
        authorize_refresh: Called at every refresh.
        authorize_move: Called before a token of an earlier system gets one of ours, see [bridge].
        on_refusal: Makes the bodies of refused requests; see `RefusalFormat`.
        tenants: Returns whether a tenant counts, for the issuer with ``ask_tenants = true``; see
            `TrustedIssuer`.
        hooks: Receive every event; the default writes a log.
        http_client: See `RemoteKeys`.
        environ: Has the variables that the configuration names; the default is ``os.environ``.
        clock: Returns the time in Unix seconds.

    Raises:
        InvalidConfig: Every fault with its place.

    """
    chosen = (LoggingHook(),) if hooks is None else tuple(hooks)
    variables = os.environ if environ is None else environ
    faults = Faults(config.source)
    store = store_of(config, faults, variables, clock)
    secrets = refresh_secrets(config, faults, variables, chosen)
    trust = IssuersBuilder(
        config,
        faults,
        environ=variables,
        hooks=chosen,
        http_client=http_client,
        share=key_set_share(config, faults, store, secrets),
        clock=clock,
        tenants=tenants,
    ).build()
    transports = _transports(config, faults)
    cookies = config.cookies
    with faults.at("cookies", "refresh_name"):
        SessionCookie(cookies.refresh_name, cookies.origins, secure=cookies.refresh_secure)
    throttle = _throttle(config, faults, variables)
    if config.renewal.sliding is True and not config.has_keys:
        faults.missing("keys", "file", "sliding = true needs signing keys: set file or env")
    resource = _resource(config, faults)
    bridge = _bridge(config, faults, variables, trust)
    with faults.at("http", ""):
        refusal = replace(config.http.settings(), on_refusal=on_refusal)
    faults.raise_any()
    revocations = None
    if store is not None:
        revocations = Revocations(
            store,
            **arguments_for(Revocations, config.store),
            longest_lifetime=config.renewal.longest_lifetime_seconds or 0.0,
            hooks=chosen,
            clock=clock,
        )
    verifier = _verifier(config, trust, bridge, revocations, chosen, clock)
    renewal = sessions = None
    followers: list[Service] = []
    if trust.signer is not None and config.slides:
        renewal = _sliding(
            config, trust.signer, verifier, revocations, (authorize, authorize_move), clock
        )
    if trust.signer is not None and store is not None and secrets is not None:
        held = secrets if isinstance(secrets, KeySet) else secrets.keys
        sessions = Sessions(
            store,
            trust.signer,
            held,
            **arguments_for(Sessions, config.store),
            settings=config.sessions.settings(),
            access=config.renewal.settings(),
            revocations=revocations,
            authorize=authorize_refresh,
            on_issue=_cache_issued(verifier),
            hooks=chosen,
            clock=clock,
        )
        followers = [secrets] if isinstance(secrets, KeyFile) else []
        if isinstance(store, KeepsNotes):
            announced = arguments_for(KeyAnnouncer, config.keys)
            announced["verify_keys"] = trust.verify_keys
            followers.append(KeyAnnouncer(sessions, held, **announced, hooks=chosen, clock=clock))
    return Components(
        config=config,
        verifier=verifier,
        signer=trust.signer,
        renewal=renewal,
        sessions=sessions,
        services=(
            *trust.services,
            *(own for own in (throttle, sessions) if own is not None),
            *followers,
        ),
        transports=transports,
        throttle=throttle,
        hooks=chosen,
        clock=clock,
        refusal=None if refusal.is_default else refusal,
        resource=resource,
        authorize_move=authorize_move,
    )


def _resource(config: Config, faults: Faults) -> ResourceMetadata | None:
    if config.resource.url is not None and config.http.resource_metadata is not None:
        text = "[resource] url serves the metadata too; keep one of them"
        faults.add("contradiction", "http", "resource_metadata", text)
    if config.resource.url is None and config.resource != type(config.resource)():
        faults.missing("resource", "url", "the table has no effect without url")
    with faults.at("resource", "url"):
        outside = dict.fromkeys(table.issuer for table in config.issuers if table.issuer)
        return config.resource.metadata([*outside])
    return None


def _transports(config: Config, faults: Faults) -> tuple[Transport, ...]:
    http, cookies = config.http, config.cookies
    found: list[Transport] = []
    if "header" in http.accept:
        for text in http.token_headers:
            with faults.at("http", "token_headers"):
                found.append(_header_transport(http, text))
    if "cookie" in http.accept:
        if cookies.origins:
            with faults.at("cookies", "access_name"):
                found.append(CookieTransport(**arguments_for(CookieTransport, cookies)))
        else:
            faults.missing(
                "cookies", "origins", 'accept has "cookie": name the origins that may use it'
            )
    if "subprotocol" in http.accept:
        found.append(SubprotocolTransport(http.subprotocol))
    return tuple(found)


def _header_transport(http: HttpTable, text: str) -> HeaderTransport:
    """Return the transport of one entry of ``token_headers``, such as ``Authorization: Bearer``."""
    header, _, scheme = text.partition(": ")
    if (header.lower(), scheme.lower()) == ("authorization", "bearer"):
        return HeaderTransport(http.successor_header)
    is_of_proxy = header.lower() != "authorization"
    return NamedHeaderTransport(
        header,
        scheme=scheme or None,
        origins=http.token_origins if is_of_proxy and http.token_origins else None,
        successor_header=http.successor_header,
    )


def _throttle(config: Config, faults: Faults, environ: Mapping[str, str]) -> LoginThrottle | None:
    table = config.throttle
    if not table.enabled or not config.has_store:
        return None
    storage = attempts_of(config, faults, environ)
    with faults.at("throttle", ""):
        return LoginThrottle(**arguments_for(LoginThrottle, table), storage=storage)
    return None


def _bridge(
    config: Config, faults: Faults, environ: Mapping[str, str], trust: ConfiguredIssuers
) -> Bridge | None:
    if config.bridge == BridgeTable():
        return None
    from linqi.config.bridge import bridge_of

    return bridge_of(config, faults, environ, trust.issuers)


def _verifier(
    config: Config,
    trust: ConfiguredIssuers,
    bridge: Bridge | None,
    revocations: Revocations | None,
    hooks: tuple[Hook, ...],
    clock: Callable[[], float],
) -> Verifier:
    return Verifier(
        (*trust.issuers, *trust.opaque),
        **arguments_for(Verifier, config.verify),
        bridge=bridge,
        cache=config.cache.build(),
        limits=config.verify.settings(),
        is_revoked=None if revocations is None else revocations.is_revoked,
        # With a store, its revocations have the bound, which is never below that of the file.
        longest_lifetime=None if revocations is not None else _longest_lifetime(config),
        hooks=hooks,
        clock=clock,
    )


def _longest_lifetime(config: Config) -> float | None:
    """Return the bound for use without a store; None unless the file sets it."""
    renewal = config.renewal
    if renewal.longest_lifetime_seconds is None:
        return None
    return max(renewal.longest_own_lifetime, config.bridge.lifetime_seconds or 0)


def _sliding(
    config: Config,
    signer: Signer,
    verifier: Verifier,
    revocations: Revocations | None,
    authorize: tuple[Authorize | None, Authorize | None],
    clock: Callable[[], float],
) -> SlidingRenewal:
    off_loop = config.signing.off_loop
    settings = config.renewal.settings()
    verifier.schedule(settings)
    return SlidingRenewal(
        signer,
        settings,
        **arguments_for(SlidingRenewal, config.signing),
        budget=config.budget.build(),
        authorize=authorize[0],
        authorize_move=authorize[1],
        is_revoked=None if revocations is None else revocations.is_revoked,
        on_issue=_cache_issued(verifier),
        sign_off_loop=None if off_loop == "auto" else off_loop,
        clock=clock,
    )


def _cache_issued(verifier: Verifier) -> Callable[[str], object]:
    """Return the callback that puts an issued token into the cache of verified tokens."""

    def prime(token: str) -> None:
        # The cache stays empty where the session was revoked meanwhile, or its feed is lost.
        with contextlib.suppress(Unavailable, StaleClaims, TokenRevoked):
            verifier.cache_issued(token)

    return prime
