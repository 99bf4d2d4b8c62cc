"""Tokens of an earlier system: accepted until a date, and replaced by tokens of ours."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    Bridge,
    ConfigurationError,
    CookieTransport,
    JWTMiddleware,
    Key,
    RenewalBudget,
    RenewalSettings,
    RequireScopes,
    Signer,
    SlidingRenewal,
    TrustedIssuer,
    Verified,
    Verifier,
    _base64url,
)
from linqi.errors import (
    AlgorithmNotAllowed,
    BoundToken,
    BridgeClosed,
    InvalidClaim,
    InvalidKey,
    InvalidSignature,
    LifetimeExceeded,
    MissingClaim,
    TokenError,
    TokenExpired,
    TokenRevoked,
    Unavailable,
    UnknownIssuer,
    UnsupportedToken,
)
from linqi.events import (
    RenewalDeferred,
    RenewalDenied,
    RenewalFailed,
    TokenBridged,
    TokenMoved,
    TokenRefused,
)
from linqi.jose.bridge import _SESSION_CLAIMS
from linqi.jose.issuers import own_issuer
from linqi.jose.keys import KeySet
from linqi.sessions import _claims
from tokens import AUDIENCE, ISSUER, make, signer_of

OLD, OURS = Key.generate("HS256"), Key.generate("ES256")
ORIGINS = json.loads((Path(__file__).parent / "vectors" / "bridged_tokens.json").read_text())
NOW, HOUR = 1_800_000_000, 3600
UNTIL = NOW + 30 * 24 * HOUR


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock at a whole second."""
    return FakeClock(NOW)


def old_token(key: Key = OLD, header: Any = None, **claims: Any) -> str:
    """Return a token as of FastAPI's tutorial, made now; a claim that is ... is left out."""
    members = {"sub": "alice", "exp": NOW + HOUR} | claims
    return make(
        key,
        {name: value for name, value in members.items() if value is not ...},
        {"alg": key.alg, "typ": "JWT"} | (header or {}),
    )


class Deployment:
    """A worker with sliding sessions and a bridge."""

    def __init__(
        self,
        clock: FakeClock,
        *,
        key: Key = OLD,
        ours: Key = OURS,
        app: Any = None,
        verifier: Any = (),
        renewal: Any = (),
        middleware: Any = (),
        **bridge: Any,
    ) -> None:
        self.clock = clock
        self.signer = Signer(ours, issuer=ISSUER, audience=AUDIENCE, clock=clock)
        settings = {"key": key, "until": UNTIL, "lifetime": HOUR} | bridge
        self.verifier = Verifier.trusting(
            self.signer, bridge=Bridge(**settings), clock=clock, **dict(verifier)
        )
        self.renewal = SlidingRenewal(
            self.signer, clock=clock, on_issue=self.verifier.cache_issued, **dict(renewal)
        )
        self.heard: list[Any] = []
        self.app = App() if app is None else app
        self.middleware = JWTMiddleware(
            self.app,
            self.verifier,
            renewal=self.renewal,
            hooks=[self.heard.append],
            clock=clock,
            wait_seconds=30,
            **dict(middleware),
        )

    def heard_of(self, kind: type) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.heard if type(event) is kind]

    async def moved(self, token: str) -> Verified:
        """Return the verified successor that a request with `token` brings."""
        answer = await call(self.middleware, http(token=token))
        assert answer.status == 200
        assert answer.successor is not None
        return self.verifier.verify(answer.successor)


# What is accepted


@pytest.mark.parametrize("name", [name for name, origin in ORIGINS["origins"].items()])
def test_a_real_token_of_each_origin_is_accepted(name: str) -> None:
    """Made by the release that the file names; the settings are those of the guide."""
    origin = ORIGINS["origins"][name]
    clock = FakeClock(ORIGINS["made_at"] + 1)
    secret = Key.from_secret(ORIGINS["secret"])
    stack = Deployment(clock, key=secret, until=clock() + HOUR, **origin["bridge"])
    verified = stack.verifier.verify(origin["access"])
    assert (verified.issuer, verified.subject) == (ISSUER, origin["subject"])
    assert (verified.own, verified.bridged) == (True, True)
    assert verified.expires_at <= clock() + origin["bridge"]["lifetime"]
    assert verified.auth_time is not None
    assert verified.auth_time <= clock()
    for refused in origin["refused"]:
        with pytest.raises(InvalidClaim):
            stack.verifier.verify(refused)


def test_claims_are_taken_over_by_name_only(clock: FakeClock) -> None:
    """What an earlier system wrote under names of ours, or for itself, has no meaning here."""
    stack = Deployment(clock, claims=("roles", "absent"))
    token = old_token(roles=["admin"], csrf="x", sid="s", auth_time=NOW + 9, session_end=NOW + 9)
    claims = stack.verifier.verify(token).claims
    names = {"iss", "sub", "sid", "jti", "auth_time", "iat", "exp", "roles"}
    assert set(claims) == names
    assert (claims["roles"], claims["auth_time"]) == (["admin"], NOW)
    assert claims["sid"] != "s"


def test_no_claim_that_the_session_sets_can_be_named(clock: FakeClock) -> None:
    """The list is that of the claims which a sign-in may not set, and more."""
    assert _claims._IDENTITY_CLAIMS | _claims._LIFE_CLAIMS <= _SESSION_CLAIMS
    with pytest.raises(ConfigurationError, match="claims names exp, sid"):
        Deployment(clock, claims=("sid", "exp"))


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "read write"}, ("read", "write")),
        ({"scopes": ["read", "write"]}, ("read", "write")),
        ({"scopes": ["read", "a b"]}, ("read",)),
        ({"permissions": ["write"]}, ()),
    ],
)
def test_scopes_are_read_from_the_named_claims(
    clock: FakeClock, claims: Any, scopes: tuple[str, ...]
) -> None:
    """A text is split, a list may hold names of scopes only."""
    stack = Deployment(clock, scope_claims=("scope", "scopes"))
    assert stack.verifier.verify(old_token(**claims)).scopes == scopes


def test_a_signed_token_of_ours_is_verified_as_before(clock: FakeClock) -> None:
    """The bridge stands beside the own issuer."""
    stack = Deployment(clock)
    verified = stack.verifier.verify(stack.renewal.start("alice").token)
    assert (verified.bridged, verified.own) == (False, True)


# What is refused


def test_v6_a_token_with_an_iss_never_takes_the_bridge(clock: FakeClock) -> None:
    """Its key would otherwise make tokens in the name of any issuer, ours included."""
    stack = Deployment(clock)
    for issuer, error in ((ISSUER, AlgorithmNotAllowed), ("https://other.test", UnknownIssuer)):
        with pytest.raises(error):
            stack.verifier.verify(old_token(iss=issuer, aud=AUDIENCE))
    for nothing in (None, "", 7, []):
        with pytest.raises(UnknownIssuer):
            stack.verifier.verify(old_token(iss=nothing))


def test_v6_a_bridge_with_an_iss_takes_exactly_that(clock: FakeClock) -> None:
    """Neither a token without one, nor one with another."""
    stack = Deployment(clock, issuer="https://old.test")
    assert stack.verifier.verify(old_token(iss="https://old.test")).issuer == ISSUER
    for claims, error in (({}, MissingClaim), ({"iss": "https://old.test/"}, UnknownIssuer)):
        with pytest.raises(error):
            stack.verifier.verify(old_token(**claims))


def test_v2_the_bridge_has_the_algorithm_of_its_key_only(clock: FakeClock) -> None:
    """A public key is no secret, and our own key signs nothing without an iss."""
    public = Key.generate("RS256")
    stack = Deployment(clock, key=public.public_half(), ours=OURS)
    assert stack.verifier.verify(old_token(public)).subject == "alice"
    confused = Key.from_secret(json.dumps(public.public_jwk()).replace('"kty"', '"k"'))
    for token in (
        old_token(confused),
        old_token(OURS),
        old_token(public, {"alg": "RS512"}),
        old_token(public, {"alg": "none"}),
    ):
        with pytest.raises(TokenError) as refused:
            stack.verifier.verify(token)
        assert refused.value.code == "algorithm_not_allowed"
    with pytest.raises(InvalidSignature):
        stack.verifier.verify(old_token(Key.generate("RS256")))


def test_v7_an_audience_must_be_named(clock: FakeClock) -> None:
    """A token for something else, such as a password reset of fastapi-users, opens nothing."""
    stack = Deployment(clock)
    with pytest.raises(InvalidClaim, match="names no audience"):
        stack.verifier.verify(old_token(aud="fastapi-users:reset"))
    named = Deployment(clock, audience="fastapi-users:auth")
    assert named.verifier.verify(old_token(aud=["fastapi-users:auth"])).subject == "alice"
    with pytest.raises(MissingClaim):
        named.verifier.verify(old_token())


@pytest.mark.parametrize("kind", ["type", "token_type", "token_use"])
def test_a_refresh_token_is_no_access_token(clock: FakeClock, kind: str) -> None:
    """Also where the settings forgot to name the claim; another kind is accepted by name."""
    stack = Deployment(clock)
    assert stack.verifier.verify(old_token(**{kind: "access"})).subject == "alice"
    for other in ("refresh", "sliding", 1, None, ["access"]):
        with pytest.raises(InvalidClaim):
            stack.verifier.verify(old_token(**{kind: other}))
    only_present = Deployment(clock, required_claims=(kind,))
    with pytest.raises(InvalidClaim):
        only_present.verifier.verify(old_token(**{kind: "refresh"}))
    for accepted in ({kind: "sliding"}, ["sub", {kind: "sliding"}]):
        sliding = Deployment(clock, required_claims=accepted)
        assert sliding.verifier.verify(old_token(**{kind: "sliding"})).subject == "alice"
        for missing in (old_token(), old_token(**{kind: "access"})):
            with pytest.raises(InvalidClaim):
                sliding.verifier.verify(missing)


@pytest.mark.parametrize("subject", [1, True, 1.0, None, "", "a\0b", ["1"], {"id": 1}, -1, ...])
def test_v13_a_subject_is_a_text(clock: FakeClock, subject: Any) -> None:
    """The number 1 is no user "1" unless the settings say so."""
    with pytest.raises(InvalidClaim):
        Deployment(clock).verifier.verify(old_token(sub=subject))


def test_v13_a_number_counts_as_its_text_by_name_only(clock: FakeClock) -> None:
    """The same user, whichever of two releases wrote the token; true is no number."""
    stack = Deployment(clock, subject_claim="user_id", numeric_subject=True)
    for subject in (7, "7"):
        assert stack.verifier.verify(old_token(user_id=subject)).subject == "7"
    for subject in (True, 7.0, -7, 10**1100, None):
        with pytest.raises(InvalidClaim):
            stack.verifier.verify(old_token(user_id=subject))
    assert stack.verifier.verify(old_token(user_id="7", sub="admin")).subject == "7"


def test_v8_v9_v12_v20_the_checks_of_all_tokens_hold(clock: FakeClock) -> None:
    """The bridge loosens iss, aud and sid, and nothing else."""
    verifier = Deployment(clock).verifier
    bad: list[tuple[str, type[Exception]]] = [
        (old_token(header={"typ": "at+jwt"}), UnsupportedToken),
        (old_token(header={"crit": ["b64"]}), UnsupportedToken),
        (old_token(exp=...), MissingClaim),
        (old_token(exp=str(NOW + 60)), InvalidClaim),
        (old_token(exp=NOW), TokenExpired),
        (old_token(iat=NOW + 60), TokenError),
        (old_token(nbf=NOW + 60), TokenError),
        (old_token(jti=7), InvalidClaim),
        (old_token(cnf={"jkt": "x"}), BoundToken),
    ]
    for token, error in bad:
        with pytest.raises(error):
            verifier.verify(token)
    lenient = Deployment(clock, verifier={"bound_tokens": "accept"}.items()).verifier
    with pytest.raises(BoundToken):  # no successor would have the proof
        lenient.verify(old_token(cnf={"jkt": "x"}))


def test_v16_a_secret_of_a_tutorial_makes_no_bridge() -> None:
    """Anyone can sign with it: its users must sign in again."""
    for secret in ("SECRET", "secret" * 8, "your-256-bit-secret"):
        with pytest.raises(InvalidKey):
            Key.from_secret(secret)


def test_the_key_is_not_one_of_ours(clock: FakeClock) -> None:
    """Anyone with the earlier secret could otherwise make tokens of ours, also after the date."""
    with pytest.raises(ConfigurationError, match="signs our own tokens too"):
        Deployment(clock, key=OLD, ours=OLD)


def test_a_bridge_needs_one_own_issuer(clock: FakeClock) -> None:
    """In whose name its users go on."""
    bridge = Bridge(key=OLD, until=UNTIL, lifetime=HOUR)
    outside = TrustedIssuer(
        issuer="https://old.test", audience="x", keys=KeySet([OLD]), algorithms=["HS256"]
    )
    with pytest.raises(ConfigurationError, match="one own issuer"):
        Verifier(outside, bridge=bridge)
    named = Bridge(key=Key.generate("HS256"), until=UNTIL, lifetime=HOUR, issuer="https://old.test")
    with pytest.raises(ConfigurationError, match="as bridge does"):
        Verifier([own_issuer(signer_of(OURS)), outside], bridge=named)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"until": -1}, "until"),
        ({"until": "2027-01-01"}, "until"),
        ({"lifetime": 0}, "lifetime"),
        ({"lifetime": 400 * 86400}, "lifetime"),
        ({"key": "secret"}, "key is no Key"),
        ({"subject_claim": ""}, "subject_claim"),
        ({"issuer": ""}, "issuer"),
        ({"claims": "roles"}, "claims is not a list"),
        ({"scope_claims": "scope"}, "scope_claims"),
        ({"types": ()}, "types"),
    ],
)
def test_a_malformed_bridge_is_found_at_construction(
    clock: FakeClock, changes: Any, fault: str
) -> None:
    """With the name of the setting."""
    with pytest.raises(ConfigurationError, match=fault):
        Bridge(**{"key": OLD, "until": UNTIL, "lifetime": HOUR} | changes)


# How long it is accepted


@pytest.mark.parametrize("leeway", [0, 300])
def test_after_the_date_no_token_is_accepted(clock: FakeClock, leeway: float) -> None:
    """At the exact second, cached or not, whatever the leeway; a restart changes nothing."""
    stack = Deployment(clock, until=NOW + 60, verifier={"leeway": leeway}.items())
    token = old_token()
    clock.now = NOW + 59.9
    assert stack.verifier.verify(token).expires_at == NOW + 60
    clock.now = NOW + 60
    restarted = Deployment(clock, until=NOW + 60, verifier={"leeway": leeway}.items())
    for verifier in (stack.verifier, restarted.verifier):
        with pytest.raises(BridgeClosed):
            verifier.verify(token)
    clock.now = NOW - 3600  # a clock that was set back knows no better
    with pytest.raises(LifetimeExceeded):
        restarted.verifier.verify(token)


async def test_a_closed_bridge_is_a_401_with_a_code_of_its_own(clock: FakeClock) -> None:
    """The client learns no more than of any other token that is refused."""
    stack = Deployment(clock, until=NOW)
    answer = await call(stack.middleware, http(token=old_token()))
    assert answer.status == 401
    (refused,) = stack.heard_of(TokenRefused)
    assert (refused.code, refused.expired_for, refused.lag) == ("bridge_closed", None, None)
    assert "bridge" not in (answer.header("www-authenticate") or "")


def test_a_token_that_ended_by_itself_is_expired_and_not_closed(clock: FakeClock) -> None:
    """Its lag is unknown: it was due from the start."""
    stack = Deployment(clock, until=NOW + 60)
    clock.now = NOW + 70
    with pytest.raises(TokenExpired) as refused:
        stack.verifier.verify(old_token(exp=NOW + 50))
    assert refused.value.lag is None


def test_a_token_lives_no_longer_than_the_bridge_says(clock: FakeClock) -> None:
    """Without iat its start is counted back from exp, so that it cannot lie in the future."""
    verifier = Deployment(clock).verifier
    for claims in ({"iat": NOW - 10, "exp": NOW + HOUR}, {"exp": NOW + HOUR + 1}):
        with pytest.raises(LifetimeExceeded):
            verifier.verify(old_token(**claims))
    clock.now = NOW + 1
    fraction = verifier.verify(old_token(iat=NOW, exp=NOW + HOUR + 0.4))  # as AuthX writes it
    assert fraction.issued_at == NOW + 0.4
    assert fraction.expires_at - fraction.issued_at <= HOUR


# The answer


async def test_r1_the_answer_is_a_token_of_ours_for_the_same_user(clock: FakeClock) -> None:
    """Its session began no later than the old token, and ends by its sign-in."""
    stack = Deployment(clock, claims=("roles",))
    clock.now = NOW + 600
    token = old_token(roles=["buyer"], scope="read")
    old, new = stack.verifier.verify(token), await stack.moved(token)
    assert (new.issuer, new.subject, new.session_id) == (old.issuer, old.subject, old.session_id)
    assert (new.own, new.bridged, new.auth_time) == (True, False, NOW)
    assert (new.scopes, new.claims["roles"]) == (("read",), ["buyer"])
    assert new.token_id != old.token_id
    assert new.expires_at - new.issued_at <= stack.renewal.settings.lifetime  # type: ignore[operator]
    ends_at = stack.renewal.settings.session_end(str(new.session_id), NOW)
    assert new.claims["session_end"] == ends_at
    (moved,) = stack.heard_of(TokenMoved)
    assert (moved.user, moved.session, moved.signed) == ("alice", new.session_id, True)
    assert moved.old_expires_at == NOW + HOUR


async def test_r1_a_stolen_old_token_does_not_outlive_the_session(clock: FakeClock) -> None:
    """However often the thief renews: the end counts from when the old token was made."""
    cap = {"settings": RenewalSettings(max_session=2 * HOUR, cap_spread=0)}
    stack = Deployment(clock, renewal=cap.items())
    clock.now = NOW + HOUR - 5
    token = old_token(iat=NOW)
    while clock.now < NOW + 3 * HOUR:
        answer = await call(stack.middleware, http(token=token))
        if answer.status != 200:
            break
        token = answer.successor or token
        clock.move(100)
    assert NOW + HOUR < clock.now <= NOW + 2 * HOUR + 100


async def test_a_client_loses_no_time_by_moving(clock: FakeClock) -> None:
    """Where the session would end before the old token does, the client keeps the old one."""
    short = {"settings": RenewalSettings(max_session=HOUR, cap_spread=0)}
    stack = Deployment(clock, lifetime=24 * HOUR, renewal=short.items())
    answer = await call(stack.middleware, http(token=old_token(iat=NOW, exp=NOW + 2 * HOUR)))
    assert (answer.status, answer.successor) == (200, None)
    assert [type(event).__name__ for event in stack.heard][-1] == "SessionCapReached"


async def test_a_burst_gets_one_session_and_one_signature(clock: FakeClock) -> None:
    """50 parallel requests on each of two workers: the same session, and the same token."""
    workers = [Deployment(clock, ours=Key.generate("EdDSA")) for _ in range(1)]
    workers.append(Deployment(clock, ours=workers[0].signer.keys.keys[0]))
    token = old_token()
    answers = await asyncio.gather(
        *(call(worker.middleware, http(token=token)) for worker in workers for _ in range(50))
    )
    assert len({answer.successor for answer in answers}) == 1
    assert [worker.signer.signatures for worker in workers] == [1, 1]


async def test_two_users_and_two_tokens_of_one_user_get_their_own_sessions(
    clock: FakeClock,
) -> None:
    """The session is that of the token, as a sign-in on another device is."""
    stack = Deployment(clock)
    tokens = [old_token(), old_token(exp=NOW + HOUR - 1), old_token(sub="bob")]
    moved = [await stack.moved(token) for token in tokens]
    assert [one.subject for one in moved] == ["alice", "alice", "bob"]
    assert len({one.session_id for one in moved}) == 3


def test_a_second_signature_of_a_token_has_the_session_of_the_first(clock: FakeClock) -> None:
    """Of an ECDSA signature anyone can make another, which signing out would miss."""
    key = Key.generate("ES256")
    verifier = Deployment(clock, key=key.public_half()).verifier
    first = old_token(key)
    data, _, signature = first.rpartition(".")
    raw = _base64url.decode(signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256
    other = raw[:32] + (order - int.from_bytes(raw[32:])).to_bytes(32)
    second = f"{data}.{_base64url.encode(other).decode()}"
    assert first != second
    assert verifier.verify(first).session_id == verifier.verify(second).session_id
    assert verifier.verify(first).token_id == verifier.verify(second).token_id


@pytest.mark.parametrize(
    "scope",
    [
        {"method": "HEAD"},
        {"method": "OPTIONS"},
        {"path": "/poll"},
        {"path": "/missing"},
    ],
    ids=str,
)
async def test_r2_r6_no_answer_where_no_successor_is_sent(clock: FakeClock, scope: Any) -> None:
    """Quiet requests, HEAD, OPTIONS and other statuses than 2xx."""
    app = App(404) if scope.get("path") == "/missing" else App()
    stack = Deployment(clock, app=app, middleware={"quiet": ["/poll"]}.items())
    answer = await call(stack.middleware, http(token=old_token(), **scope))
    assert answer.successor is None
    assert stack.heard_of(TokenBridged)
    assert not stack.heard_of(TokenMoved)


async def test_r2_an_expired_old_token_is_not_replaced(clock: FakeClock) -> None:
    """Accepted within the leeway only, it brings no session."""
    stack = Deployment(clock, verifier={"leeway": 60}.items())
    clock.now = NOW + HOUR + 1
    answer = await call(stack.middleware, http(token=old_token()))
    assert (answer.status, answer.successor) == (200, None)


async def test_r5_signing_out_ends_the_old_token_too(clock: FakeClock) -> None:
    """Both have the same session and subject, whichever of them was presented."""
    gone: set[Any] = set()
    stack = Deployment(
        clock,
        verifier={"is_revoked": lambda v: bool({v.session_id, v.subject} & gone)}.items(),
    )
    token = old_token()
    gone.add((await stack.moved(token)).session_id)
    with pytest.raises(TokenRevoked):
        stack.verifier.verify(token)
    assert stack.verifier.verify(old_token(exp=NOW + HOUR - 1)).subject == "alice"
    gone.add("alice")
    with pytest.raises(TokenRevoked):
        stack.verifier.verify(old_token(exp=NOW + HOUR - 1))


async def test_r5_no_answer_where_the_revocation_came_during_the_request(clock: FakeClock) -> None:
    """The check of renewals holds for the first token as well."""
    stack = Deployment(clock, renewal={"is_revoked": lambda _: True}.items())
    answer = await call(stack.middleware, http(token=old_token()))
    assert (answer.status, answer.successor) == (200, None)
    assert [event.reason for event in stack.heard_of(RenewalDenied)] == ["revoked"]


@pytest.mark.parametrize("hook", ["authorize", "authorize_move"])
async def test_a_disabled_user_gets_no_token_of_ours(clock: FakeClock, hook: str) -> None:
    """`authorize_move` decides, and `authorize` where there is none."""
    stack = Deployment(clock, renewal={hook: lambda _: False}.items())
    answer = await call(stack.middleware, http(token=old_token()))
    assert (answer.status, answer.successor) == (200, None)
    assert [event.reason for event in stack.heard_of(RenewalDenied)] == ["authorize"]


async def test_r3_the_application_grants_at_the_move_and_not_at_a_renewal(clock: FakeClock) -> None:
    """`authorize_move` is a sign-in; `authorize` may only narrow what the old token had."""

    async def more(verified: Verified) -> dict[str, Any]:
        assert verified.bridged
        return {"scope": "read admin", "roles": ["a"], "sub": "mallory", "sid": "s"}

    stack = Deployment(clock, renewal={"authorize_move": more}.items())
    new = await stack.moved(old_token(scope="read"))
    assert (new.scopes, new.claims["roles"], new.subject) == (("read", "admin"), ["a"], "alice")
    narrow = Deployment(clock, renewal={"authorize": more}.items())
    assert (await narrow.moved(old_token(scope="read"))).scopes == ("read",)


async def test_a_route_that_requires_a_scope_sees_what_was_granted(clock: FakeClock) -> None:
    """Also with the first request, and where the response may carry no token."""
    grants = {"authorize_move": lambda _: {"scope": "orders"}}
    stack = Deployment(clock, app=RequireScopes(App(), "orders"), renewal=grants.items())
    token = old_token()
    for _ in range(2):
        answer = await call(stack.middleware, http(token=token))
        assert answer.status == 200
        assert answer.successor is not None
    assert stack.signer.signatures == 1
    narrow = Deployment(clock, app=RequireScopes(App(), "orders"))
    assert (await call(narrow.middleware, http(token=token))).status == 403


@pytest.mark.parametrize("fault", [Unavailable("down"), ValueError("x"), None])
async def test_a_fault_of_the_move_costs_no_response(clock: FakeClock, fault: Any) -> None:
    """The old token is good: the application sees it, and the next request tries again."""

    def authorize(verified: Verified) -> Any:
        if fault is not None:
            raise fault
        return 7

    stack = Deployment(clock, renewal={"authorize_move": authorize}.items())
    answer = await call(stack.middleware, http(token=old_token()))
    assert (answer.status, answer.successor) == (200, None)
    assert stack.app.scopes[0]["linqi"].bridged
    assert len(stack.heard_of(RenewalFailed)) == 1


async def test_a_spent_budget_leaves_the_move_to_a_later_request(clock: FakeClock) -> None:
    """When all clients come at once, as after the deployment."""
    budget = RenewalBudget(rate=1, burst=1)
    stack = Deployment(clock, renewal={"budget": budget}.items())
    answers = [await call(stack.middleware, http(token=old_token(sub=name))) for name in ("a", "b")]
    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.successor is None for answer in answers] == [False, True]
    assert [event.reason for event in stack.heard_of(RenewalDeferred)] == ["budget"]
    clock.move(2)
    assert (await stack.moved(old_token(sub="b"))).subject == "b"


async def test_a_signature_that_is_checked_in_a_thread_is_that_of_the_bridge(
    clock: FakeClock,
) -> None:
    """The claims are translated there as well."""
    key = Key.generate("ES256")
    off_loop = {"verify_off_loop": ["ES256"]}
    stack = Deployment(clock, key=key.public_half(), middleware=off_loop.items())
    answer = await call(stack.middleware, http(token=old_token(key)))
    assert (answer.status, answer.successor is None) == (200, False)
    forged = await call(stack.middleware, http(token=old_token(Key.generate("ES256"))))
    assert forged.status == 401


async def test_the_bridge_is_counted_once_for_each_verification(clock: FakeClock) -> None:
    """A hit of the cache reports nothing, and no event has the token."""
    stack = Deployment(clock)
    token = old_token()
    for _ in range(3):
        await call(stack.middleware, http(token=token))
    (bridged,) = stack.heard_of(TokenBridged)
    assert (bridged.user, bridged.seconds_left) == ("alice", HOUR)
    assert not any(token in repr(event) for event in stack.heard)
    assert stack.verifier.cache is not None
    assert stack.verifier.cache.info().hits >= 2


async def test_moved_sessions_go_on_as_others_do(clock: FakeClock) -> None:
    """The first token is renewed near its expiry, with the session of the old token."""
    stack = Deployment(clock)
    answer = await call(stack.middleware, http(token=old_token()))
    first = stack.verifier.verify(str(answer.successor))
    clock.now = first.expires_at - 1
    second = await stack.moved(str(answer.successor))
    assert (second.session_id, second.auth_time) == (first.session_id, first.auth_time)
    assert second.expires_at > first.expires_at


class Cookies:
    """A deployment whose earlier system put its tokens into a cookie of its own."""

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        transport = CookieTransport(
            ["https://shop.test"], previous_name="fastapiusersauth", **options
        )
        self.stack = Deployment(clock, middleware={"transports": [transport]}.items())

    async def send(self, cookie: str, **scope: Any) -> Any:
        """Send a request with a Cookie header."""
        headers = [(b"cookie", cookie.encode()), *scope.pop("headers", ())]
        return await call(self.stack.middleware, http(headers=headers, **scope))


async def test_the_cookie_of_the_earlier_system_is_replaced(clock: FakeClock) -> None:
    """By one with __Host-, and deleted; where both arrive, ours counts."""
    site = Cookies(clock)
    answer = await site.send(f"a=b; fastapiusersauth={old_token()}")
    assert answer.status == 200
    ours, deleted = [value.decode() for name, value in answer.headers if name == b"set-cookie"]
    assert ours.startswith("__Host-access=ey")
    assert "HttpOnly" in ours
    assert deleted == "fastapiusersauth=; Max-Age=0; Path=/"
    assert answer.successor is None
    token = ours.partition("=")[2].partition(";")[0]
    both = await site.send(f"fastapiusersauth={old_token(sub='mallory')}; __Host-access={token}")
    assert both.status == 200
    seen = site.stack.app.scopes[-1]["linqi"]
    assert (seen.subject, seen.bridged) == ("alice", False)


async def test_a_page_of_another_site_cannot_use_the_earlier_cookie(clock: FakeClock) -> None:
    """CSRF is refused as with our own cookie, and so is a cookie that stands twice."""
    site = Cookies(clock)
    cookie = f"fastapiusersauth={old_token()}"
    foreign = [(b"origin", b"https://evil.test")]
    assert (await site.send(cookie, method="POST", headers=foreign)).status == 400
    assert (await site.send(f"{cookie}; {cookie}")).status == 400
    own = [(b"origin", b"https://shop.test")]
    assert (await site.send(cookie, method="POST", headers=own)).status == 200


def test_the_earlier_cookie_has_a_name_of_its_own() -> None:
    """The two cookies could not be told apart."""
    for name in ("__Host-access", "a b", ""):
        with pytest.raises(ConfigurationError):
            CookieTransport(["https://shop.test"], previous_name=name)
