"""The embedded applications under test.

They answer one page, ``GET /me``, with who the caller is, without a framework, so that the
middleware is measured. The page says that browsers and a CDN may cache it, as pages of real
applications do: the middleware must overrule that where a response carries a successor. Their login
accepts any user name with the password of the run.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

import linqi
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    KeySet,
    Person,
    RenewalBudget,
    RenewalSettings,
    Signer,
    SlidingRenewal,
    Verified,
    VerifiedCache,
    Verifier,
)
from linqi_storm.apps.counted_store import CountedStore
from linqi_storm.apps.offset_clock import OffsetClock
from linqi_storm.apps.refresh_limit import RefreshLimit
from linqi_storm.apps.sampler import Sampler
from linqi_storm.schema.generator_plan import TokenTransport
from linqi_storm.schema.identity import MARK, claims_of, echo_of, scopes_of
from linqi_storm.schema.policies import parse_policy

if TYPE_CHECKING:
    from linqi.config import Components

__all__ = ["AppSpec", "build", "build_sessions", "read_spec", "renewal_settings"]

_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"private, max-age=60"),
    (b"surrogate-control", b"max-age=60"),
]
_LEAST_CACHED: Final = 64
_CACHED_PER_SESSION: Final = 1.25
"""Tokens that replaced others are cached beside them; the least recently used must make room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """The settings of one application, which each of its workers reads."""

    kind: str
    """``sliding``, ``naive``, ``dual``, ``outside`` or ``app``."""
    lifetime: float
    buffer: float
    policy: str = "grid"
    whole_seconds: bool = True
    """Whether tokens may have whole-second times, see `StormLoad.whole_seconds`."""
    jwks: str = ""
    """Path of the JWKS file with the signing key."""
    secret: str = ""
    """Path of the JWKS file with the secret of refresh tokens."""
    password: str = ""
    """Accepted for every user name."""
    scopes: tuple[str, ...] = ()
    """Of every user who signs in with `password`."""
    issuer: str = "https://storm.linqi.example"
    audience: str = "linqi-storm"
    store: str = ""
    """URL of the session store."""
    grace: float = 10.0
    workers: int = 2
    budget_per_second: float | None = None
    """Renewals per second, all workers together; None for no limit."""
    refreshes_per_second: float | None = None
    """The same of refreshes: the others are answered 429."""
    refresh_path: str = ""
    algorithms: tuple[str, ...] = ("ES256",)
    app: str = ""
    """``module:app`` of the user's application."""
    config: str = ""
    """Path of its linqi.toml."""
    share: str = ""
    """Folder in which workers share the keys of an outside issuer."""
    run: str = ""
    """The name of the storm in the claims of its sessions."""
    sessions: int = 2_000
    """The number of sessions, for the size of the cache."""
    clock: str = ""
    """Path of the file with the offset of this worker's clock; empty for the machine's clock."""
    leeway: float = 0.0
    """How far the clocks of the workers may differ, in seconds."""
    stale_after: float = 10.0
    """Seconds for which revocations are trusted without the store."""


def renewal_settings(spec: AppSpec) -> RenewalSettings:
    """Return the renewal settings of `spec`."""
    return RenewalSettings(
        lifetime=spec.lifetime,
        buffer=spec.buffer,
        policy=parse_policy(spec.policy),
        whole_seconds=spec.whole_seconds,
    )


def build(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    """Return the application of one worker, sampled by `sampler`."""
    kinds = {
        "sliding": _sliding,
        "naive": _handwritten,
        "dual": _dual,
        "outside": _outside,
        "app": _user_app,
    }
    app = kinds[spec.kind](spec, sampler)
    if spec.refreshes_per_second is not None:
        app = RefreshLimit(app, spec.refresh_path, spec.refreshes_per_second / spec.workers)
    return sampler.around(app)


def _sliding(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    signer = Signer(KeySet.load(Path(spec.jwks)), issuer=spec.issuer, audience=spec.audience)
    verifier = Verifier.trusting(signer, cache=_cache(spec))
    budget = None
    if spec.budget_per_second is not None:
        rate = spec.budget_per_second / spec.workers
        budget = RenewalBudget(rate, burst=max(1.0, rate))
    renewal = SlidingRenewal(
        signer, renewal_settings(spec), budget=budget, on_issue=verifier.cache_issued
    )
    sampler.watch(cache=verifier.cache)
    return JWTMiddleware(
        page,
        verifier,
        renewal=renewal,
        public=["/healthz"],
        quiet_header=TokenTransport().quiet_header,
        hooks=[sampler],
    )


def _handwritten(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    from linqi_storm.apps.handwritten_renewal import HandwrittenRenewal

    guarded = HandwrittenRenewal(
        page,
        KeySet.load(Path(spec.jwks)).signing_key(),
        issuer=spec.issuer,
        audience=spec.audience,
        lifetime=spec.lifetime,
        buffer=spec.buffer,
        on_sign=sampler.count_signature,
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and scope["path"] == "/healthz"
        await (page if is_open else guarded)(scope, receive, send)

    return app


def build_sessions(
    spec: AppSpec, sampler: Sampler | None = None, *, clock: Callable[[], float] = time.time
) -> linqi.Sessions:
    """Return the session service behind dual tokens."""
    if spec.kind == "app":
        components = _components(spec, hooks=[], clock=clock)
        if components.sessions is None:
            raise ConfigurationError([f"{spec.config} has no [store], which dual tokens need"])
        return components.sessions
    signer = Signer(
        KeySet.load(Path(spec.jwks)), issuer=spec.issuer, audience=spec.audience, clock=clock
    )
    from linqi.stores.store_url import open_store

    store = CountedStore(open_store(spec.store))
    if sampler is not None:
        sampler.watch(store=store)
    return linqi.Sessions(
        store,
        signer,
        KeySet.load(Path(spec.secret)).keys,
        settings=linqi.SessionSettings(grace=spec.grace, most_sessions=1_000),
        access=renewal_settings(spec),
        revocations=linqi.Revocations(store, stale_after=spec.stale_after, clock=clock),
        hooks=[] if sampler is None else [sampler],
        clock=clock,
    )


def _dual(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    clock = _clock(spec)
    sessions = build_sessions(spec, sampler, clock=clock)
    verifier = Verifier.trusting(
        sessions.signer,
        is_revoked=sessions.revocations.is_revoked,
        leeway=spec.leeway,
        cache=_cache(spec),
        clock=clock,
    )
    routes = linqi.SessionRoutes(
        page, sessions, verifier, _authenticator(spec), throttle=None, clock=clock
    )
    sampler.watch(cache=verifier.cache)
    return JWTMiddleware(
        routes,
        verifier,
        public=[*routes.public, "/healthz"],
        services=[sessions],
        hooks=[sampler],
        clock=clock,
    )


def _user_app(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    from linqi_storm.apps.user_app import import_app, wrap_for_run

    components = _components(spec, hooks=[sampler], clock=_clock(spec))
    sampler.watch(cache=components.verifier.cache)
    authenticate = None if components.sessions is None else _authenticator(spec)
    return wrap_for_run(import_app(spec.app), components, authenticate=authenticate)


def _components(spec: AppSpec, **options: Any) -> Components:
    from linqi.config import build as build_components
    from linqi.config import load
    from linqi_storm.apps.user_app import config_for_run

    config = config_for_run(
        load(spec.config),
        jwks=spec.jwks,
        secret=spec.secret,
        store=spec.store,
        lifetime=spec.lifetime,
        buffer=spec.buffer,
        policy=spec.policy,
        whole_seconds=spec.whole_seconds,
    )
    return build_components(config, **options)


def _authenticator(spec: AppSpec) -> Callable[[Mapping[str, str]], Person | None]:
    password = spec.password.encode()

    def authenticate(form: Mapping[str, str]) -> Person | None:
        subject = form["username"]
        if not hmac.compare_digest(form["password"].encode(), password):
            return None
        scopes = (*spec.scopes, *scopes_of(subject))
        return Person(subject=subject, claims=claims_of(spec.run, subject), scopes=scopes)

    return authenticate


def _outside(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    share = Path(spec.share) if spec.share else None
    keys = linqi.RemoteKeys(spec.issuer, spec.algorithms, share=share)
    verifier = Verifier(keys.trust(spec.audience), cache=_cache(spec))
    sampler.watch(cache=verifier.cache)
    return JWTMiddleware(page, verifier, public=["/healthz"], hooks=[sampler])


def _clock(spec: AppSpec) -> Callable[[], float]:
    return OffsetClock(Path(spec.clock)) if spec.clock else time.time


def _cache(spec: AppSpec) -> VerifiedCache:
    return VerifiedCache(max(_LEAST_CACHED, int(spec.sessions * _CACHED_PER_SESSION)))


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with who the caller is."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    body = _echo(scope)
    headers = [*_HEADERS, (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _echo(scope: Scope) -> bytes:
    """Return who the caller is by the middleware, or by the claims of the hand-written one."""
    caller = scope.get("linqi")
    if isinstance(caller, Verified):
        mark = caller.claims.get(MARK)
        return echo_of(caller.subject, caller.session_id, mark, caller.scopes)
    claims: Mapping[str, Any] = scope.get("claims", {})
    scopes = str(claims.get("scope", "")).split()
    return echo_of(claims.get("sub"), claims.get("sid"), claims.get(MARK), scopes)


def read_spec(path: Path) -> AppSpec:
    """Return the settings in the JSON file `path`."""
    return msgspec.json.decode(path.read_bytes(), type=AppSpec)
