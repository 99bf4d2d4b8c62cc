"""The requests of one session before a storm, which show that its clients are understood.

A verdict on a service that refuses the tokens of the storm, or that does not look at them, would
be wrong. Therefore one session signs in, requests every page, and renews; if the service does not
know it, the storm does not begin, and the message names the cause. What the service does wrong
with tokens that it understands is left to the invariants.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from linqi import ConfigurationError, KeySet, RenewalSettings, Signer
from linqi_storm.clients.login_endpoint import login_content, read_credential
from linqi_storm.run.preflight_faults import refusal_fault, successor_fault, why_not
from linqi_storm.scenarios.workload_traffic import catalogue_of
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan
from linqi_storm.schema.identity import claims_of, scopes_of, subject_of
from linqi_storm.schema.results import Target
from linqi_storm.schema.workload import WorkloadRequest

__all__ = ["Preflight", "run_preflight"]

_MOST_REQUESTS: Final = 200
_TOLERATED: Final = 0.05
"""Share of the requests of a workload that may be refused for another reason than their token."""
_TRIES: Final = 3
_USER: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What the requests before a storm showed."""

    public: frozenset[tuple[str, str]] = frozenset()
    """Method and path of requests whose token the service does not look at."""
    guests: frozenset[tuple[str, str]] = frozenset()
    """Those of a workload that are served without a token, but not with a forged one."""
    notes: tuple[str, ...] = ()
    """Requests that the service refuses, of which the workload has few."""


def run_preflight(
    plan: GeneratorPlan, target: Target, clock: Callable[[], float] = time.time
) -> Preflight:
    """Send the requests of one session to the service under test.

    The embedded applications are not asked: their wiring is the storm's own.

    Args:
        plan: The plan of the storm.
        target: The service under test.
        clock: Returns Unix seconds.

    Raises:
        ConfigurationError: If the service does not understand the clients of the storm. The
            message names the request, its answer, the cause and the option to change.

    """
    if target.kind == "embedded":
        return Preflight()
    with httpx2.Client(base_url=plan.url, timeout=plan.timeout, follow_redirects=False) as client:
        try:
            return _Session(plan, target, client, clock).run()
        except httpx2.TransportError as error:
            raise ConfigurationError([f"{plan.url} does not answer: {error}"]) from error


class _Session:
    """One session and its requests."""

    def __init__(
        self, plan: GeneratorPlan, target: Target, client: httpx2.Client, clock: Callable[[], float]
    ) -> None:
        self._plan = plan
        self._target = target
        self._client = client
        self._clock = clock
        self._held: Credential | None = None
        self._fresh_until = 0.0

    def run(self) -> Preflight:
        """Sign in, request the pages, and renew."""
        public, guests, refused, known = set(), set(), [], []
        for request, share in _requests_of(self._plan):
            token = self._live().token
            answer = self._send(request, token)
            fault = refusal_fault(request, answer, self._plan.token_source, self._target)
            if fault:
                refused.append((fault, share, answer.status_code))
            elif not request.public and self._is_public(request, token):
                public.add(request.kind)
            elif not request.public:
                known.append(request)
                if self._plan.load.workload is not None and self._serves(request, ""):
                    guests.add(request.kind)
        self._check(refused, known, public)
        if self._plan.mode == "dual":
            self._refresh(self._live())
        elif self._plan.token_source.login is None:
            self._renew(known[0])
        return Preflight(
            public=frozenset(public),
            guests=frozenset(guests),
            notes=tuple(f"before the load: {fault}" for fault, *_ in refused),
        )

    def _check(
        self,
        refused: Sequence[tuple[str, float, int]],
        known: Sequence[WorkloadRequest],
        public: set[tuple[str, str]],
    ) -> None:
        """Raise `ConfigurationError` if the clients are not known, or too much is refused."""
        is_token = any(status in (401, 403) for *_, status in refused)
        if is_token or sum(share for _, share, _ in refused) > _TOLERATED:
            raise ConfigurationError([fault for fault, *_ in refused])
        if not known and not public:
            raise ConfigurationError(
                ["every request of the workload is public, expected one that needs a token"]
            )
        if not known:
            paths = ", ".join(sorted(" ".join(kind) for kind in public))
            raise ConfigurationError(
                [
                    f"{paths} answered without looking at the token: the path is public, so"
                    " no request would be verified and no session renewed. Name a page that needs"
                    " a token by --path"
                ]
            )

    def _live(self) -> Credential:
        """Return tokens with at least half of their life left: many pages may outlast one."""
        now = self._clock()
        if self._held is None or now >= self._fresh_until:
            self._held = self._sign_in()
            self._fresh_until = (now + self._held.expires_at) / 2
        return self._held

    def _sign_in(self) -> Credential:
        source, now = self._plan.token_source, self._clock()
        if source.login is None:
            left = self._plan.load.lifetime
            return Credential(token=self._signed(left), expires_at=now + left)
        content, media_type = login_content(source.login, _USER, {})
        headers = {**source.login.headers, "content-type": media_type}
        answer = self._client.post(source.login.url, content=content, headers=headers)
        try:
            if not answer.is_success:
                raise ValueError(why_not(answer))
            return read_credential(answer.content, now, source.login.token_field)
        except ValueError as error:
            raise ConfigurationError(
                [
                    f"POST {source.login.url} answered {answer.status_code}: {error}. Check the"
                    " members url, body, encoding, headers and token_field of --login"
                ]
            ) from None

    def _signed(self, left: float) -> str:
        """Return a token of the storm's first user that is valid for `left` seconds."""
        source, load = self._plan.token_source, self._plan.load
        keys = KeySet.load(Path(source.jwks))
        signer = Signer(keys, issuer=source.issuer, audience=source.audience)
        subject, expires_at = subject_of(_USER), self._clock() + left
        issued_at = expires_at - load.lifetime
        return signer.sign(
            {
                **claims_of("preflight", subject),
                "scope": " ".join((*source.scopes, *scopes_of(subject))),
                "sub": subject,
                "sid": "linqi-storm-preflight",
                "auth_time": issued_at,
                "session_end": expires_at + 3_600,
                "iat": issued_at,
                "exp": expires_at,
                "jti": f"linqi-storm-preflight-{expires_at}",
            }
        )

    def _send(self, request: WorkloadRequest, token: str) -> httpx2.Response:
        headers = dict(request.headers)
        if request.body:
            headers["content-type"] = request.content_type
        if token and not request.public and self._plan.transport.cookie:
            headers["cookie"] = f"{self._plan.transport.cookie}={token}"
        elif token and not request.public:
            headers["authorization"] = f"Bearer {token}"
        content = request.body.encode("utf-8")
        return self._client.request(request.method, request.path, content=content, headers=headers)

    def _is_public(self, request: WorkloadRequest, token: str) -> bool:
        """Return whether neither a missing nor a forged token changes the answer."""
        return self._serves(request, "") and self._serves(request, _forged(token))

    def _serves(self, request: WorkloadRequest, token: str) -> bool:
        return self._send(request, token).status_code < 400

    def _renew(self, request: WorkloadRequest) -> None:
        """Check that a near-expiry token gets a successor."""
        load = self._plan.load
        # Within the hard margin no budget defers a renewal.
        left = 0.7 * RenewalSettings(lifetime=load.lifetime, buffer=load.buffer).margin
        transport = self._plan.transport
        for _ in range(_TRIES):
            answer = self._send(request, self._signed(left))
            if transport.cookie in answer.cookies or transport.successor_header in answer.headers:
                return
        raise ConfigurationError([successor_fault(request, answer, left, load, transport)])

    def _refresh(self, held: Credential) -> None:
        """Check that the refresh token is redeemed."""
        path = self._plan.transport.refresh_path
        answer = self._client.post(
            path,
            json={"grant_type": "refresh_token", "refresh_token": held.refresh_token},
            headers={"x-token-delivery": "body"},
        )
        try:
            if not held.refresh_token:
                raise ValueError("the login returned no refresh token")
            if not answer.is_success:
                raise ValueError(why_not(answer))
            read_credential(answer.content, self._clock(), "access_token", refresh_token="-")
        except ValueError as error:
            raise ConfigurationError(
                [
                    f"POST {path} answered {answer.status_code}: {error}. Give the path of the"
                    " refresh by the member refresh_path of --login"
                ]
            ) from None


def _requests_of(plan: GeneratorPlan) -> Iterator[tuple[WorkloadRequest, float]]:
    """Yield each request with its share of all requests, the most frequent ones first."""
    workload = plan.load.workload
    if workload is None:
        yield WorkloadRequest(path=plan.transport.path), 1.0
        return
    weights: dict[str, float] = {}
    for page in workload.pages:
        for request in page.requests:
            weights[repr(request)] = weights.get(repr(request), 0.0) + page.weight
    total = sum(weights.values())
    found = [(request, weights[repr(request)] / total) for request in catalogue_of(workload)]
    yield from sorted(found, key=lambda pair: -pair[1])[:_MOST_REQUESTS]


def _forged(token: str) -> str:
    """Return `token` with another signature."""
    head, dot, signature = token.rpartition(".")
    return f"{head}{dot}{signature[::-1]}"
