"""The embedded applications under test.

They answer one page, ``GET /me``, without a framework, so that the middleware is measured. Their
login accepts any user name with the password of the run.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from linqi import (
    ConfigurationError,
    JWTMiddleware,
    KeySet,
    Person,
    RemoteKeys,
    RenewalBudget,
    RenewalSettings,
    SessionRoutes,
    Sessions,
    SessionSettings,
    Signer,
    SlidingRenewal,
    Verifier,
)
from linqi.config import Components, load, wrap
from linqi.config import build as build_config
from linqi.stores.store_url import open_store
from linqi_storm.apps.counted_store import CountedStore
from linqi_storm.apps.handwritten_renewal import HandwrittenRenewal
from linqi_storm.apps.sampler import Sampler
from linqi_storm.apps.user_app import config_for_run, import_app
from linqi_storm.schema.generator_plan import TokenTransport
from linqi_storm.schema.policies import parse_policy

__all__ = ["AppSpec", "build", "build_sessions", "read_spec", "renewal_settings"]

_BODY: Final = b'{"hello":"you"}'
_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_BODY)).encode()),
    (b"cache-control", b"no-store"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSpec:
    """The settings of one application, which each of its workers reads."""

    kind: str
    """``sliding``, ``naive``, ``dual``, ``outside`` or ``app``."""
    lifetime: float
    buffer: float
    policy: str = "grid"
    jwks: str = ""
    """Path of the JWKS file with the signing key."""
    secret: str = ""
    """Path of the JWKS file with the secret of refresh tokens."""
    password: str = ""
    """Accepted for every user name."""
    issuer: str = "https://storm.linqi.example"
    audience: str = "linqi-storm"
    store: str = ""
    """URL of the session store."""
    grace: float = 10.0
    workers: int = 2
    budget_per_second: float | None = None
    """Renewals per second, all workers together; None for no limit."""
    algorithms: tuple[str, ...] = ("ES256",)
    app: str = ""
    """``module:app`` of the user's application."""
    config: str = ""
    """Path of its linqi.toml."""
    share: str = ""
    """Folder in which workers share the keys of an outside issuer."""


def renewal_settings(spec: AppSpec) -> RenewalSettings:
    """Return the renewal settings of `spec`."""
    return RenewalSettings(
        lifetime=spec.lifetime,
        buffer=spec.buffer,
        policy=parse_policy(spec.policy),
        # Whole seconds are 2 % of a lifetime of 45 s: renewals would fall together again.
        whole_seconds=spec.lifetime >= 60,
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
    return sampler.around(kinds[spec.kind](spec, sampler))


def _sliding(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    signer = Signer(KeySet.load(Path(spec.jwks)), issuer=spec.issuer, audience=spec.audience)
    verifier = Verifier.trusting(signer)
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
) -> Sessions:
    """Return the session service behind dual tokens."""
    if spec.kind == "app":
        components = _components(spec, hooks=[], clock=clock)
        if components.sessions is None:
            raise ConfigurationError([f"{spec.config} has no [store], which dual tokens need"])
        return components.sessions
    signer = Signer(
        KeySet.load(Path(spec.jwks)), issuer=spec.issuer, audience=spec.audience, clock=clock
    )
    store = CountedStore(open_store(spec.store))
    if sampler is not None:
        sampler.watch(store=store)
    return Sessions(
        store,
        signer,
        KeySet.load(Path(spec.secret)).keys,
        settings=SessionSettings(grace=spec.grace, most_sessions=1_000),
        access=renewal_settings(spec),
        hooks=[] if sampler is None else [sampler],
        clock=clock,
    )


def _dual(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    sessions = build_sessions(spec, sampler)
    verifier = Verifier.trusting(sessions.signer, is_revoked=sessions.revocations.is_revoked)
    routes = SessionRoutes(page, sessions, verifier, _authenticator(spec), throttle=None)
    sampler.watch(cache=verifier.cache)
    return JWTMiddleware(
        routes, verifier, public=[*routes.public, "/healthz"], services=[sessions], hooks=[sampler]
    )


def _user_app(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    components = _components(spec, hooks=[sampler])
    sampler.watch(cache=components.verifier.cache)
    authenticate = None if components.sessions is None else _authenticator(spec)
    return wrap(import_app(spec.app), components, authenticate=authenticate)


def _components(spec: AppSpec, **options: Any) -> Components:
    config = config_for_run(
        load(spec.config),
        jwks=spec.jwks,
        secret=spec.secret,
        store=spec.store,
        lifetime=spec.lifetime,
        buffer=spec.buffer,
    )
    return build_config(config, **options)


def _authenticator(spec: AppSpec) -> Callable[[Mapping[str, str]], Person | None]:
    password = spec.password.encode()

    def authenticate(form: Mapping[str, str]) -> Person | None:
        is_right = hmac.compare_digest(form["password"].encode(), password)
        return Person(subject=form["username"]) if is_right else None

    return authenticate


def _outside(spec: AppSpec, sampler: Sampler) -> ASGIApp:
    share = Path(spec.share) if spec.share else None
    keys = RemoteKeys(spec.issuer, spec.algorithms, share=share)
    verifier = Verifier(keys.trust(spec.audience))
    sampler.watch(cache=verifier.cache)
    return JWTMiddleware(page, verifier, public=["/healthz"], hooks=[sampler])


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with a few bytes."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


def read_spec(path: Path) -> AppSpec:
    """Return the settings in the JSON file `path`."""
    return msgspec.json.decode(path.read_bytes(), type=AppSpec)
