"""Every key of linqi.toml has an effect: another value changes the behaviour."""

import asyncio
import base64
import copy
import datetime
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

import alb
from aging import overwrite
from alb import KID, OTHER_SIGNER, SIGNER, alb_token
from asgi import Answer, App, call, http
from clock import FakeClock
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    KeyAnnouncer,
    KeySet,
    Person,
    RemoteKeys,
    Verified,
)
from linqi.client.judge import hold, judge
from linqi.config import Components, Config, build, every_setting, read, wrap
from linqi.errors import RefreshRefused, Unavailable
from linqi.sessions.refresh_token import RefreshTokens, new_session_id
from linqi.stores.postgres import PostgresStore
from linqi_storm.run.required import read_required
from linqi_storm.schema.result_file import load_run
from private_server import Answer as AnswerOf
from private_server import Authority, private_server
from reading import Reading
from test_sockets import Peer, echo
from tokens import AUDIENCE, ISSUER, NOW, good_claims, make

KEYS = {alg: KeySet([Key.generate(alg, kid=alg)]) for alg in ("ES256", "EdDSA", "HS256")}
OTHER = {alg: KeySet([Key.generate(alg, kid=f"other-{alg}")]) for alg in KEYS}
RSA = Key.generate("RS256")
SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
UNKNOWN_STORAGE = "async+nothing://"
ENVIRON = {
    "KEYS_A": json.dumps({"keys": [KEYS["ES256"].keys[0].private_jwk()]}),
    "KEYS_B": json.dumps({"keys": [OTHER["ES256"].keys[0].private_jwk()]}),
    "SECRET": SECRET,
    "OTHER_SECRET": SECRET[::-1],
    "REFRESH_A": json.dumps({"keys": [KEYS["HS256"].keys[0].private_jwk()]}),
    "REFRESH_B": json.dumps({"keys": [OTHER["HS256"].keys[0].private_jwk()]}),
    "MEMORY": "memory:",
    "SQLITE": "sqlite:by-variable.db",
    "LISTEN": "postgresql://a@127.0.0.1:2/a",
    "COUNTED_HERE": "memory:",
    "COUNTED_NOWHERE": UNKNOWN_STORAGE,
}
OWN: dict[str, Any] = {
    "verify": {"issuer": ISSUER, "audience": AUDIENCE},
    "keys": {"file": "keys.json"},
}
SHORT_HEADER = OWN | {"verify": OWN["verify"] | {"header_max_bytes": 200}}
PLAIN = OWN | {"renewal": {"policy": "plain"}}
DUAL = OWN | {"store": {"url": "memory:", "secrets_file": "refresh.json"}}
LOGIN = DUAL | {"throttle": {"per_pair": "90 per hour"}}
OUTSIDE: dict[str, Any] = {
    "issuers": [
        {"issuer": ISSUER, "audience": [AUDIENCE], "algorithms": ["ES256"], "keys_file": "own.json"}
    ]
}
REMOTE: dict[str, Any] = {
    "issuers": [
        {
            "issuer": "https://id.example",
            "audience": ["api"],
            "algorithms": ["ES256"],
            "jwks_url": "https://id.example/jwks",
        }
    ]
}
REMOTE_URL = "https://id.example"
DISCOVERED = {
    "issuers": [{name: value for name, value in REMOTE["issuers"][0].items() if name != "jwks_url"}]
}
PLAIN_HTTP = {"issuers": [REMOTE["issuers"][0] | {"jwks_url": "http://key_cloak:8080/certs"}]}
DISCOVERY_URL = f"{REMOTE_URL}/.well-known/openid-configuration"
BY_SECRET = OWN | {"keys": {"env": "SECRET"}}
VERIFY_SECRET = OWN | {"keys": {"file": "keys.json", "verify_env": "SECRET"}}
BY_VARIABLE = {
    "issuers": [
        {"issuer": ISSUER, "audience": [AUDIENCE], "algorithms": ["ES256"], "keys_env": "KEYS_A"}
    ]
}
TENANTS = {"issuers": [OUTSIDE["issuers"][0] | {"issuer": ISSUER + "/{tid}"}]}
BALANCER = Key.generate("ES256", kid=KID)
BALANCED: dict[str, Any] = {
    "issuers": [
        {
            "issuer": alb.ISSUER,
            "audience": [alb.CLIENT],
            "algorithms": ["ES256"],
            "alb_signer": [SIGNER],
        }
    ]
}
NO_AUDIENCE = {"issuers": [OUTSIDE["issuers"][0] | {"audience": []}]}
FIXED_END = OWN | {"renewal": {"cap_spread": 0}}
NO_URL = OWN | {"store": {"secrets_file": "refresh.json"}}
NO_SECRETS = OWN | {"store": {"url": "memory:"}}
FIXED_DUAL_END = DUAL | {"sessions": {"cap_spread": 0, "idle_seconds": 60}}
NAMED_HEADER = OWN | {"http": {"token_headers": ["X-Token"]}}
SUBPROTOCOL = OWN | {"http": {"accept": ["subprotocol"]}}
PLAIN_REFRESH_COOKIE = LOGIN | {"cookies": {"refresh_name": "refresh"}}
BRIDGED = OWN | {
    "bridge": {
        "env": "SECRET",
        "until": datetime.datetime.fromtimestamp(NOW + 3600, datetime.UTC),
        "lifetime_seconds": 600,
    }
}
BRIDGED_BY_FILE = OWN | {"bridge": {n: v for n, v in BRIDGED["bridge"].items() if n != "env"}}
PER_ADDRESS = LOGIN | {"throttle": {"per_address": "5 per hour"}}


class Trial:
    """One configuration, with its folder, its clock and its issuer."""

    def __init__(self, raw: dict[str, Any], folder: Path) -> None:
        self.raw = raw
        self.folder = folder
        self.clock = FakeClock(NOW)
        self.asked: list[str] = []
        self.sent: list[httpx2.Headers] = []
        keys = {"keys": [KEYS["ES256"].keys[0].public_jwk()]}
        self.answer: tuple[int, dict[str, str], Any] = (200, {}, keys)

    @property
    def config(self) -> Config:
        """The configuration."""
        return read(self.raw, folder=self.folder)

    def components(self, **options: Any) -> Components:
        """Build its objects."""
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self._served))
        options = {"clock": self.clock, "hooks": [id], "http_client": client} | options
        return build(self.config, environ=ENVIRON, **options)

    async def _served(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(str(request.url))
        self.sent.append(request.headers)
        status, headers, body = self.answer
        if status == 0:
            await asyncio.sleep(30)
        stream = httpx2.ByteStream(json.dumps(body).encode())
        return httpx2.Response(status, headers=headers, stream=stream)

    def app(self, app: Any = None, **options: Any) -> JWTMiddleware:
        """Return an application inside the middleware."""
        return wrap(app or App(), self.components(**options))

    async def status(self, token: str | None = None, **scope: Any) -> int:
        """Return the status of one request."""
        return (await call(self.app(), http(token=token, **scope))).status

    async def remote(self) -> RemoteKeys:
        """Return the key set of the first outside issuer, started."""
        (keys,) = self.components().verifier.fetched_keys
        assert isinstance(keys, RemoteKeys)
        await keys.start()
        return keys

    async def near_expiry(self, left: float = 100, **options: Any) -> Answer:
        """Return the response to a request whose token has `left` of 900 seconds."""
        headers = [(b"origin", b"https://app.example"), *options.pop("headers", ())]
        app = self.app(options.pop("app", None), **options)
        assert app.renewal is not None
        token = app.renewal.start("alice").token
        self.clock.move(900 - left)
        return await call(app, http(token=token, headers=headers))


async def soon(is_so: Callable[[], bool]) -> bool:
    """Return whether `is_so` within 150 short sleeps: 1.5 s, or as long as the machine is busy."""
    for _ in range(150):
        if is_so():
            return True
        await asyncio.sleep(0.01)
    return is_so()


Observe = Callable[[Trial], Awaitable[object]]


@dataclass
class Case:
    """Two values of a key, and what is observed with each."""

    base: dict[str, Any]
    values: tuple[Any, Any]
    seen: tuple[Any, Any]
    observe: Observe = field(repr=False)


CASES: dict[str, Case] = {}


def case(place: str, base: dict[str, Any], values: Any, seen: Any) -> Callable[[Observe], Observe]:
    """Register what a function observes as the case of a key."""

    def register(observe: Observe) -> Observe:
        assert place not in CASES
        CASES[place] = Case(base, values, seen, observe)
        return observe

    return register


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the keys that the cases name."""
    KEYS["ES256"].save(tmp_path / "keys.json")
    OTHER["ES256"].save(tmp_path / "other.json")
    KEYS["HS256"].save(tmp_path / "refresh.json")
    OTHER["HS256"].save(tmp_path / "refresh-other.json")
    (tmp_path / "own.json").write_text(json.dumps(KEYS["ES256"].public_jwks()))
    (tmp_path / "foreign.json").write_text(json.dumps(OTHER["ES256"].public_jwks()))
    KeySet([RSA]).save(tmp_path / "rsa.json")
    return tmp_path


def test_every_key_has_a_case() -> None:
    """A key without an effect cannot be added."""
    assert set(CASES) == {f"{table}.{setting.name}" for table, setting in every_setting()}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("place", sorted(f"{t}.{s.name}" for t, s in every_setting()))
async def test_a_changed_key_changes_behaviour(place: str, which: int, folder: Path) -> None:
    """Each of the two values has its own effect."""
    found = CASES[place]
    assert found.seen[0] != found.seen[1]
    table, _, key = place.partition(".")
    raw = copy.deepcopy(found.base)
    target = raw["issuers"][0] if table == "issuers" else raw.setdefault(table, {})
    value = found.values[which]
    target.pop(key, None)
    if value is not None:
        target[key] = value
    assert await found.observe(Trial(raw, folder)) == found.seen[which]


def good(**changes: Any) -> str:
    """Return a token by the key in keys.json."""
    return make(KEYS["ES256"].keys[0], good_claims(**changes))


@case("verify.issuer", OWN, (ISSUER, "https://else.test"), (200, 401))
@case("verify.audience", OWN, (AUDIENCE, "else"), (200, 401))
@case("keys.file", OWN, ("keys.json", "other.json"), (200, 401))
@case("keys.env", OWN | {"keys": {}}, ("KEYS_A", "KEYS_B"), (200, 401))
@case("keys.verify_file", BY_SECRET, ("keys.json", "other.json"), (200, 401))
@case("keys.verify_env", BY_SECRET, ("KEYS_A", "KEYS_B"), (200, 401))
@case("issuers.keys_env", BY_VARIABLE, ("KEYS_A", "KEYS_B"), (200, 401))
@case("issuers.issuer", OUTSIDE, (ISSUER, "https://else.test"), (200, 401))
@case("issuers.audience", OUTSIDE, ([AUDIENCE], ["else"]), (200, 401))
@case("issuers.keys_file", OUTSIDE, ("own.json", "foreign.json"), (200, 401))
@case("issuers.types", OUTSIDE, (["at+jwt"], ["jwt"]), (200, 401))
@case("issuers.required_claims", OUTSIDE, (["scope"], {"scope": ["admin"]}), (200, 401))
async def a_good_token(trial: Trial) -> object:
    """Return the status of a request with a good token."""
    return await trial.status(good())


def bridged(**changes: Any) -> str:
    """Return a token of an earlier system by the secret in a variable."""
    claims = {"sub": "alice", "user_id": "7", "exp": NOW + 600, "scope": "read", "roles": ["a"]}
    header = {"alg": "HS256", "typ": "JWT"}
    return make(Key.from_secret(SECRET), claims | {"type": "access"} | changes, header)


async def bridged_user(trial: Trial) -> Any:
    """Return the user that the application sees with such a token."""
    app = App()
    await call(trial.app(app), http(token=bridged()))
    return app.scopes[0]["user"]


@case("bridge.env", BRIDGED, ("SECRET", "OTHER_SECRET"), (200, 401))
@case("bridge.algorithm", BRIDGED, ("HS256", "HS512"), (200, 401))
@case("bridge.until", BRIDGED, (datetime.date(2027, 2, 1), datetime.date(2027, 1, 1)), (200, 401))
@case("bridge.lifetime_seconds", BRIDGED, (600, 500), (200, 401))
@case("bridge.required_claims", BRIDGED, ({"type": "access"}, ["fresh"]), (200, 401))
@case("bridge.types", BRIDGED, (["jwt"], ["at+jwt"]), (200, 401))
async def a_bridged_token(trial: Trial) -> object:
    """Return the status of a request with a token of an earlier system."""
    return await trial.status(bridged())


@case("bridge.file", BRIDGED_BY_FILE, ("secret", "other-secret"), (200, 401))
async def a_bridged_token_by_a_file(trial: Trial) -> object:
    """Return the status of a request where a file holds the secret, with a line end."""
    (trial.folder / "secret").write_text(f"{SECRET}\n")
    (trial.folder / "other-secret").write_text(SECRET[::-1])
    return await trial.status(bridged())


@case("bridge.audience", BRIDGED, (["old"], None), (200, 401))
async def a_bridged_token_with_an_audience(trial: Trial) -> object:
    """Return the status of a request with one that has aud."""
    return await trial.status(bridged(aud="old"))


@case("bridge.issuer", BRIDGED, ("https://old.test", None), (200, 401))
async def a_bridged_token_with_an_issuer(trial: Trial) -> object:
    """Return the status of a request with one that has iss."""
    return await trial.status(bridged(iss="https://old.test"))


@case("bridge.numeric_subject", BRIDGED, (True, False), (200, 401))
async def a_bridged_token_with_a_number(trial: Trial) -> object:
    """Return the status of a request with one whose subject is a number."""
    return await trial.status(bridged(sub=7))


@case("bridge.subject_claim", BRIDGED, ("sub", "user_id"), ("alice", "7"))
async def the_bridged_subject(trial: Trial) -> object:
    """Return who the user is."""
    return (await bridged_user(trial)).subject


@case("bridge.scope_claims", BRIDGED, (["scope"], ["roles"]), (("read",), ("a",)))
async def the_bridged_scopes(trial: Trial) -> object:
    """Return the scopes of the user."""
    return (await bridged_user(trial)).scopes


@case("bridge.claims", BRIDGED, (["roles"], []), (["a"], None))
async def the_bridged_claims(trial: Trial) -> object:
    """Return a claim that is taken over by name."""
    return (await bridged_user(trial)).claims.get("roles")


@case("issuers.tenants", TENANTS, (["a"], ["b"]), (200, 401))
@case("issuers.ask_tenants", TENANTS, (False, True), (401, 200))
async def a_good_token_of_a_tenant(trial: Trial) -> object:
    """Return the status of a request with a token of tenant a."""
    table = trial.raw["issuers"][0]
    asked = {"tenants": lambda tenant: tenant == "a"}
    options: dict[str, Any] = asked if table.get("ask_tenants") else {}
    if "ask_tenants" in table:
        table["tenants"] = None if options else ["b"]
        table = {name: value for name, value in table.items() if value is not None}
        trial.raw["issuers"][0] = table
    token = good(iss=ISSUER + "/a", tid="a")
    return (await call(trial.app(**options), http(token=token))).status


@case("keys.verify_algorithm", VERIFY_SECRET, ("HS256", "HS512"), (200, 401))
async def a_good_token_by_the_secret(trial: Trial) -> object:
    """Return the status of a request with a token by the secret in a variable."""
    return await trial.status(make(Key.from_secret(SECRET), good_claims()))


@case(
    "issuers.scope_claims",
    OUTSIDE,
    (["scope"], ["sub", ["sid"]]),
    (("read", "write"), ("alice", "session-1")),
)
async def the_scopes(trial: Trial) -> object:
    """Return the scopes that the application sees."""
    app = App()
    await call(trial.app(app), http(token=good()))
    return app.scopes[0]["user"].scopes


@case("verify.leeway_seconds", OWN, (0, 60), (401, 200))
async def an_expired_token(trial: Trial) -> object:
    """Return the status of a request with a token that expired 30 seconds ago."""
    return await trial.status(good(exp=int(NOW) - 30))


@case("verify.token_max_bytes", SHORT_HEADER, (16_384, 300), (200, 401))
async def a_long_token(trial: Trial) -> object:
    """Return the status of a request with a token of over 300 bytes."""
    return await trial.status(good(more="x" * 300))


@case("verify.header_max_bytes", OWN, (2048, 64), (200, 401))
async def a_long_header(trial: Trial) -> object:
    """Return the status of a request with a token whose header has over 64 bytes."""
    header = {"alg": "ES256", "kid": "ES256", "typ": "at+jwt", "more": "x" * 60}
    return await trial.status(make(KEYS["ES256"].keys[0], good_claims(), header))


@case("verify.off_loop", OWN, ([], ["ES256"]), (False, True))
async def a_signature_in_a_thread(trial: Trial) -> object:
    """Return whether it is checked elsewhere than on the event loop."""
    threads = []
    verify = Key.verify

    def watched(key: Key, data: bytes, signature: bytes) -> bool:
        threads.append(threading.current_thread())
        return verify(key, data, signature)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Key, "verify", watched)
        assert await trial.status(make(KEYS["ES256"].keys[0], good_claims())) == 200
    (thread,) = threads
    return thread is not threading.main_thread()


@case("verify.on_revocation_error", DUAL, ("closed", "open"), (503, 200))
async def an_unknown_revocation(trial: Trial) -> object:
    """Return the status of a verification before the store has answered."""
    return _verified(trial.components())


@case("verify.bound_tokens", OWN, ("refuse", "accept"), (401, 200))
async def a_token_that_is_bound_to_a_key(trial: Trial) -> object:
    """Return the status of a token with ``cnf``."""
    return await trial.status(good(cnf={"jkt": "thumbprint"}))


@case("keys.algorithm", OWN | {"keys": {"env": "SECRET"}}, ("HS256", "HS512"), ("HS256", "HS512"))
async def the_signing_algorithm(trial: Trial) -> object:
    """Return the algorithm of the tokens that are issued."""
    components = trial.components()
    assert components.renewal is not None
    return components.verifier.verify(components.renewal.start("alice").token).algorithm


@case("keys.check_seconds", OWN, (0.1, 3600), (200, 401))
async def a_replaced_key_file(trial: Trial) -> object:
    """Return the status of a token whose key was added to the file and read soon."""
    is_read = asyncio.Event()
    components = trial.components(hooks=[lambda _: is_read.set()])
    (service,) = components.services
    app = wrap(App(), components)
    await service.start()
    OTHER["ES256"].save(trial.folder / "keys.json")
    await soon(is_read.is_set)
    await service.close()
    token = make(OTHER["ES256"].keys[0], good_claims())
    return (await call(app, http(token=token))).status


@case("keys.announce_seconds", DUAL, (0.2, 60), (0.8, 240))
async def how_long_announced_keys_last(trial: Trial) -> object:
    """Return the seconds for which the note of this worker counts."""
    components = trial.components()
    assert components.sessions is not None
    announcer = next(one for one in components.services if isinstance(one, KeyAnnouncer))
    await announcer.start()
    store: Any = components.sessions.store
    ((_, at, until),) = store.notes()._kinds["keys"].values()
    await announcer.close()
    return round(until - at, 3)


# -- outside issuers -----------------------------------------------------------------------------


@case("issuers.any_audience", NO_AUDIENCE, (True, False), (200, "refused"))
@case("issuers.algorithms", OUTSIDE, (["ES256"], ["RS256"]), (200, "refused"))
async def a_token_or_a_refusal(trial: Trial) -> object:
    """Return the status of a good token; or that the configuration is refused."""
    audience = "other-api" if "any_audience" in trial.raw["issuers"][0] else AUDIENCE
    try:
        return await trial.status(good(aud=audience))
    except ConfigurationError:
        return "refused"


@case("issuers.require_type", OUTSIDE, (False, True), (200, 401))
async def a_token_without_type(trial: Trial) -> object:
    """Return the status of a token whose header has no typ."""
    header = {"alg": "ES256", "kid": "ES256"}
    return await trial.status(make(KEYS["ES256"].keys[0], good_claims(), header))


@case("issuers.alb_signer", BALANCED, ([SIGNER], [OTHER_SIGNER]), (200, 401))
async def a_load_balancers_token(trial: Trial) -> object:
    """Return the status of a token of one load balancer."""
    trial.answer = (200, {}, BALANCER.public_pem())
    return await trial.status(alb_token(BALANCER))


@case(
    "issuers.alb_keys_url",
    BALANCED,
    (None, "https://mirror.example/keys"),
    ("https://public-keys.auth.elb.eu-west-1.amazonaws.com", "https://mirror.example/keys"),
)
async def the_place_of_a_load_balancers_key(trial: Trial) -> object:
    """Return the URL that is requested, without the key id."""
    await trial.status(alb_token(BALANCER))
    return trial.asked[0].removesuffix(f"/{KID}")


@case("jwks_limits.new_kids", BALANCED, (8, 1), (3, 1))
async def fetches_for_made_up_key_ids(trial: Trial) -> object:
    """Return the number of requests after three tokens with made-up key ids."""
    app, trial.answer = trial.app(), (404, {}, "")
    for digit in "123":
        token = alb_token(BALANCER, header={"kid": digit + KID[1:]})
        await call(app, http(token=token))
    return len(trial.asked)


@case("issuers.keys_format", REMOTE, ("jwks", "certificates"), ([200, 503], [503, 200]))
async def the_form_of_a_key_set(trial: Trial) -> object:
    """Return the statuses while the issuer publishes a JWKS, and a map of key ids and PEMs."""
    key, found = KEYS["ES256"].keys[0], []
    for document in (trial.answer[2], {key.kid: key.public_pem()}):
        trial.answer = (200, {}, document)
        claims = good_claims(iss=REMOTE_URL)
        found.append(await trial.status(make(key, claims, {"alg": "ES256", "kid": key.kid})))
    return found


@case("issuers.jwks_url", REMOTE, (f"{REMOTE_URL}/a", None), (f"{REMOTE_URL}/a", DISCOVERY_URL))
async def the_first_url_asked(trial: Trial) -> object:
    """Return the URL from which the keys are fetched."""
    await (await trial.remote()).close()
    return trial.asked[0]


INTERNAL_URL = "https://keycloak:8443/.well-known/openid-configuration"


@case("issuers.discovery_url", DISCOVERED, (INTERNAL_URL, None), (INTERNAL_URL, DISCOVERY_URL))
async def the_url_of_the_metadata(trial: Trial) -> object:
    """Return the URL from which the metadata are fetched."""
    await (await trial.remote()).close()
    return trial.asked[0]


@case("issuers.allow_http", PLAIN_HTTP, (True, False), ("http://key_cloak:8080/certs", "refused"))
async def a_url_without_tls(trial: Trial) -> object:
    """Return the URL from which the keys are fetched; or that the configuration is refused."""
    try:
        await (await trial.remote()).close()
    except ConfigurationError:
        return "refused"
    return trial.asked[0]


OPAQUE: dict[str, Any] = {
    "issuers": [
        {
            "issuer": "https://id.example",
            "audience": ["api"],
            "introspection_url": "https://id.example/introspect",
            "client_id": "api",
            "client_secret_env": "KEYS_A",
        }
    ]
}


async def asked_about(trial: Trial, *tokens: str, moved: float = 0) -> list[int]:
    """Return the statuses of requests with opaque tokens, the clocks moved before the last."""
    trial.answer = (200, {}, {"active": True, "aud": "api", "sub": "alice"})
    (trial.folder / "secret").write_text("of a file")
    app = trial.app()
    statuses = [(await call(app, http(token=token))).status for token in tokens[:-1]]
    trial.clock.move(moved)
    if moved:
        trial.answer = (500, {}, {})
    return [*statuses, (await call(app, http(token=tokens[-1]))).status]


@case(
    "issuers.introspection_url",
    OPAQUE,
    ("https://id.example/introspect", "https://id.example/other"),
    ("https://id.example/introspect", "https://id.example/other"),
)
async def the_endpoint_that_is_asked(trial: Trial) -> object:
    """Return the URL of the question about a token."""
    assert await asked_about(trial, "opaque") == [200]
    return trial.asked[0]


@case("issuers.client_id", OPAQUE, ("api", "other"), ("api", "other"))
@case("issuers.client_auth", OPAQUE, ("basic", "post"), ("api", ""))
async def the_name_of_the_api(trial: Trial) -> object:
    """Return the user name of the basic credentials."""
    await asked_about(trial, "opaque")
    sent = trial.sent[0].get("authorization", "Basic ")
    return base64.b64decode(sent.removeprefix("Basic ")).decode().partition(":")[0]


FROM_FILE = {"issuers": [{**OPAQUE["issuers"][0]}]}
del FROM_FILE["issuers"][0]["client_secret_env"]


@case("issuers.client_secret_file", FROM_FILE, ("secret", "absent"), (200, 503))
@case("issuers.client_secret_env", FROM_FILE, ("KEYS_A", "ABSENT"), (200, "refused"))
@case("issuers.prefixes", OPAQUE, (["op"], ["gho_"]), (200, 401))
async def a_request_with_an_opaque_token(trial: Trial) -> object:
    """Return its status; or that the configuration is refused."""
    try:
        return (await asked_about(trial, "opaque"))[0]
    except ConfigurationError:
        return "refused"


@case("issuers.introspect_jwts", OPAQUE, (True, False), (200, 401))
async def a_jwt_that_is_asked_about(trial: Trial) -> object:
    """Return the status of a request with a JWT of the issuer, for which there is no key."""
    return (await asked_about(trial, good(iss="https://id.example")))[0]


@case("issuers.trust_seconds", OPAQUE, (60, 5), (200, 503))
async def an_old_answer_in_an_outage(trial: Trial) -> object:
    """Return the status of a request ten seconds after the answer about its token."""
    return (await asked_about(trial, "opaque", "opaque", moved=10))[-1]


@case("issuers.stale_answer_seconds", OPAQUE, (300, 0), (200, 503))
async def a_stale_answer_in_an_outage(trial: Trial) -> object:
    """Return the status of a request ten seconds after the end of the answer."""
    return (await asked_about(trial, "opaque", "opaque", moved=70))[-1]


@case("issuers.new_per_second", OPAQUE, (1, 10), (503, 200))
async def many_new_tokens(trial: Trial) -> object:
    """Return the status of a request with the fifth new token of a second."""
    return (await asked_about(trial, *(f"opaque-{n}" for n in range(5))))[-1]


@case("issuers.token_file", REMOTE, ("token", None), ("Bearer abc.def", None))
async def the_credentials_sent(trial: Trial) -> object:
    """Return the credentials of the request for keys."""
    (trial.folder / "token").write_text("abc.def\n")
    await (await trial.remote()).close()
    return trial.sent[0].get("authorization")


@case("issuers.ca_file", REMOTE, ("ca.pem", None), ("fresh", "cold"))
async def a_server_of_a_private_authority(trial: Trial) -> object:
    """Return whether the keys of a server are fetched whose certificate only ``ca_file`` signs."""
    authority = Authority()
    (trial.folder / "ca.pem").write_text(authority.pem)
    context = authority.context(trial.folder, "127.0.0.1")
    with private_server(lambda _: AnswerOf(trial.answer[2]), context) as server:
        trial.raw["issuers"][0]["jwks_url"] = f"https://127.0.0.1:{server.port}/jwks"
        (keys,) = trial.components(http_client=None).verifier.fetched_keys
        assert isinstance(keys, RemoteKeys)
        await keys.start()
        await keys.close()
    return keys.state().status


@case("issuers.required", REMOTE, (False, True), ("started", "refused"))
async def a_start_without_keys(trial: Trial) -> object:
    """Return whether the application starts while the issuer is down."""
    trial.answer = (500, {}, {})
    try:
        await (await trial.remote()).close()
    except Unavailable:
        return "refused"
    return "started"


@case("jwks.lifetime_seconds", REMOTE, (600, 700), (4200, 4300))
@case("jwks.stale_seconds", REMOTE, (3600, 0), (4200, 600))
async def how_long_keys_are_trusted(trial: Trial) -> object:
    """Return how long keys are trusted when the response has no Cache-Control."""
    return await _trusted_for(trial)


@case("jwks.least_lifetime_seconds", REMOTE, (60, 300), (3660, 3900))
async def how_long_keys_are_trusted_at_least(trial: Trial) -> object:
    """Return how long keys are trusted when the response has no-store."""
    trial.answer = (200, {"cache-control": "no-store"}, trial.answer[2])
    return await _trusted_for(trial)


@case("jwks.most_lifetime_seconds", REMOTE, (3600, 7200), (7200, 10_800))
async def how_long_keys_are_trusted_at_most(trial: Trial) -> object:
    """Return how long keys are trusted when the response may be cached for a day."""
    trial.answer = (200, {"cache-control": "max-age=86400"}, trial.answer[2])
    return await _trusted_for(trial)


async def _trusted_for(trial: Trial) -> object:
    keys = await trial.remote()
    await keys.close()
    return round(keys.state().trusted_for, -1)


@case("jwks.refresh_ahead", REMOTE, (0.9, 0.1), (True, False))
async def when_keys_are_fetched_anew(trial: Trial) -> object:
    """Return whether the next fetch is later than five minutes."""
    keys = await trial.remote()
    await keys.close()
    return keys.state().next_attempt_in > 300


@case("jwks.cooldown_seconds", REMOTE, (10, 60), (True, False))
async def when_a_failure_is_tried_again(trial: Trial) -> object:
    """Return whether the next attempt is within half a minute."""
    trial.answer = (500, {}, {})
    keys = await trial.remote()
    await keys.close()
    return keys.state().next_attempt_in < 30


@case("jwks.longest_backoff_seconds", REMOTE, (30, 3600), (True, False))
async def when_a_fourth_failure_is_tried_again(trial: Trial) -> object:
    """Return whether the next attempt is within a minute."""
    trial.answer = (500, {}, {})
    keys = await trial.remote()
    for _ in range(3):
        await keys._attempt(False)
    await keys.close()
    return keys.state().next_attempt_in < 60


@case("jwks.share_folder", REMOTE, ("shared", None), (True, False))
async def what_is_shared(trial: Trial) -> object:
    """Return whether the fetched keys are in the folder for other processes."""
    (trial.folder / "shared").mkdir(mode=0o700)
    await (await trial.remote()).close()
    return any((trial.folder / "shared").iterdir())


@case("jwks.share_in_store", DUAL | REMOTE, (True, False), (True, False))
async def what_is_shared_by_the_store(trial: Trial) -> object:
    """Return whether the fetched keys are in the store for other workers."""
    components = trial.components()
    assert components.sessions is not None
    (keys,) = components.verifier.fetched_keys
    await keys.start()
    await keys.close()
    store: Any = components.sessions.store
    return any("set" in notes for notes in store.notes()._kinds.values())


@case("jwks_limits.timeout_seconds", REMOTE, (0.1, 60), ("gave up", "waits"))
async def an_issuer_that_hangs(trial: Trial) -> object:
    """Return whether the start ends soon."""
    trial.answer = (0, {}, {})
    (keys,) = trial.components().verifier.fetched_keys
    starting = asyncio.create_task(keys.start())
    has_ended = await soon(starting.done)
    starting.cancel()
    await asyncio.wait([starting])
    await keys.close()
    return "gave up" if has_ended else "waits"


@case("jwks_limits.max_bytes", REMOTE, (262_144, 1024), (True, False))
async def a_large_answer(trial: Trial) -> object:
    """Return whether a response of two kilobytes is accepted."""
    trial.answer[2]["more"] = "x" * 2000
    return await _is_ready(trial)


@case("jwks_limits.max_keys", REMOTE, (64, 1), (True, False))
async def a_large_set(trial: Trial) -> object:
    """Return whether a set of two keys is accepted."""
    trial.answer[2]["keys"].append(OTHER["ES256"].keys[0].public_jwk())
    return await _is_ready(trial)


async def _is_ready(trial: Trial) -> bool:
    keys = await trial.remote()
    await keys.close()
    return keys.state().is_ready


FORCED = REMOTE | {"jwks": {"cooldown_seconds": 1}}


@case("jwks_limits.unknown_kids", FORCED, (10, 1), (2, 1))
async def unknown_kids_remembered(trial: Trial) -> object:
    """Return how many of two unknown key ids are remembered."""
    return (await _after_unknown_kids(trial, "a", "b"))[0]


@case("jwks_limits.unknown_seconds", FORCED, (1, 300), (3, 2))
async def an_unknown_kid_again(trial: Trial) -> object:
    """Return the number of fetches when the same key id is repeated after a second."""
    return (await _after_unknown_kids(trial, "a", "a"))[1]


async def _after_unknown_kids(trial: Trial, *kids: str) -> tuple[int, int]:
    """Return the number of remembered key ids and of fetches."""
    keys = await trial.remote()
    for number, kid in enumerate(kids):
        if number:
            await asyncio.sleep(1.1)  # the cooldown, which is real
        await keys.fetch_for("ES256", kid)
    await keys.close()
    state = keys.state()
    return len(keys._unknown) if kids[-1] != "a" else state.unknown_kids, state.requests


# -- the cache -----------------------------------------------------------------------------------


@case("cache.enabled", OWN, (True, False), (True, False))
@case("cache.lifetime_seconds", OWN, (60, 1e-9), (True, False))
async def a_hit(trial: Trial) -> object:
    """Return whether a token is cached."""
    return _is_hit(trial.components().verifier, 0)


@case("cache.max_entries", OWN, (2, 1), (True, False))
async def a_hit_after_another(trial: Trial) -> object:
    """Return whether a token is cached after one other."""
    return _is_hit(trial.components().verifier, 1)


@case("cache.max_bytes", OWN, (1_000_000, 4096), (True, False))
async def a_hit_after_nine_others(trial: Trial) -> object:
    """Return whether a token is cached after nine others."""
    return _is_hit(trial.components().verifier, 9)


def _is_hit(verifier: Any, others: int) -> bool:
    token = good()
    first = verifier.verify(token)
    for number in range(others):
        verifier.verify(good(jti=f"other-{number}"))
    return verifier.verify(token) is first


# -- renewal -------------------------------------------------------------------------------------


@case("renewal.sliding", PLAIN, ("auto", False), (True, False))
@case("renewal.buffer_seconds", PLAIN, (300, 60), (True, False))
async def a_successor(trial: Trial) -> object:
    """Return whether a request with 100 seconds left returns a successor."""
    if trial.config.renewal.sliding is False:
        return (await call(trial.app(), http(token=good(exp=int(NOW) + 100)))).successor is not None
    return (await trial.near_expiry()).successor is not None


def _claims(trial: Trial, users: int = 20) -> list[Any]:
    components = trial.components()
    assert components.renewal is not None
    tokens = [components.renewal.start(f"user-{n}").token for n in range(users)]
    return [components.verifier.verify(token).claims for token in tokens]


@case("renewal.longest_lifetime_seconds", OWN, (3600, 1800), (200, 401))
async def an_own_token_of_an_hour(trial: Trial) -> object:
    """Return the status of a token that lives longer than new ones do."""
    return await trial.status(good(exp=int(NOW) - 10 + 3600))


@case("renewal.lifetime_seconds", PLAIN, (900, 700), (900, 700))
async def a_life(trial: Trial) -> object:
    """Return how long a token lives."""
    (claims,) = _claims(trial, 1)
    return claims["exp"] - claims["iat"]


@case("renewal.policy", OWN, ("plain", "grid"), (True, False))
async def whether_all_expire_together(trial: Trial) -> object:
    """Return whether twenty sessions that start together are due together."""
    renewal = trial.components().renewal
    assert renewal is not None
    due = {renewal.settings.due_at(it["sid"], it["iat"], it["exp"]) for it in _claims(trial)}
    return len(due) == 1


@case("renewal.jitter_width", OWN | {"renewal": {"policy": "jitter"}}, (0.01, 1), (True, False))
async def whether_all_expire_within_ten_seconds(trial: Trial) -> object:
    """Return whether their expiries lie within ten seconds."""
    expiries = [claims["exp"] for claims in _claims(trial)]
    return max(expiries) - min(expiries) <= 10


@case("renewal.max_session_seconds", FIXED_END, (28_800, 3600), (28_800, 3600))
async def a_sessions_end(trial: Trial) -> object:
    """Return how long a session may last."""
    (claims,) = _claims(trial, 1)
    return claims["session_end"] - claims["auth_time"]


@case("renewal.cap_spread", OWN, (0, 0.5), (True, False))
async def whether_all_sessions_end_together(trial: Trial) -> object:
    """Return whether twenty sessions have one end."""
    return len({claims["session_end"] for claims in _claims(trial)}) == 1


@case("renewal.whole_second_times", PLAIN, (True, False), (True, False))
async def whether_times_are_whole(trial: Trial) -> object:
    """Return whether exp is whole for a token made at a quarter past the second."""
    (claims,) = _claims(trial, 1)
    return claims["exp"] % 1 == 0


SCARCE = PLAIN | {"budget": {"renewals_per_second": 0.001, "burst": 1}}


async def _second_successor(trial: Trial) -> bool:
    """Return whether, of two sessions that renew at once, the second receives its successor."""
    app = trial.app()
    assert app.renewal is not None
    tokens = [app.renewal.start(name).token for name in ("alice", "bob")]
    trial.clock.move(900 - 100)
    answers = [await call(app, http(token=token)) for token in tokens]
    assert answers[0].successor is not None
    return answers[1].successor is not None


@case("renewal.hard_margin_seconds", SCARCE, (120, 10), (True, False))
@case("budget.renewals_per_second", SCARCE, (None, 0.001), (True, False))
@case("budget.burst", SCARCE, (10, 1), (True, False))
async def a_second_successor(trial: Trial) -> object:
    """Return whether the second of two sessions is renewed."""
    return await _second_successor(trial)


@case("signing.off_loop", PLAIN, (True, False), (True, False))
async def where_a_successor_is_signed(trial: Trial) -> object:
    """Return whether a thread signs the successor."""
    before = {thread.name for thread in threading.enumerate()}
    app = trial.app()
    assert app.renewal is not None
    token = app.renewal.start("alice").token
    trial.clock.move(800)
    assert (await call(app, http(token=token))).successor
    signing = {t.name for t in threading.enumerate() if t.name.startswith("linqi-sign")} - before
    app.renewal.close()
    return bool(signing)


@case("signing.memo_seconds", OWN, (60, 5), (1, 2))
async def signatures_for_a_token_that_comes_again(trial: Trial) -> object:
    """Return the number of signatures when a token is repeated after ten seconds."""
    return await _signatures(trial, ["alice", "alice"], pause=10)


@case("signing.memo_entries", PLAIN, (10, 1), (2, 3))
async def signatures_for_two_tokens_by_turns(trial: Trial) -> object:
    """Return the number of signatures for a token, another, and the first again."""
    return await _signatures(trial, ["alice", "bob", "alice"], pause=0)


async def _signatures(trial: Trial, order: list[str], pause: float) -> int:
    """Count the signatures for tokens that arrive in `order`, `pause` seconds apart."""
    app = trial.app()
    assert app.renewal is not None
    tokens = {name: app.renewal.start(name).token for name in order}
    trial.clock.now = app.verifier.verify(tokens[order[0]]).expires_at - 60
    for name in order:
        assert (await call(app, http(token=tokens[name]))).successor
        trial.clock.move(pause)
    return app.renewal.counts.signatures


@case("signing.wait_seconds", PLAIN, (5, 0.05), (True, False))
async def a_successor_that_takes_long(trial: Trial) -> object:
    """Return whether a response waits for one that takes a third of a second."""

    async def slow(verified: Verified) -> bool:
        await asyncio.sleep(0.3)
        return True

    return (await trial.near_expiry(authorize=slow)).successor is not None


# -- sessions and their store --------------------------------------------------------------------


async def _started(trial: Trial) -> Any:
    sessions = trial.components().sessions
    assert sessions is not None
    await sessions.start()
    return sessions


@case("store.url", DUAL, ("memory:", "sqlite:by-file.db"), (False, True))
@case("store.url_env", NO_URL, ("MEMORY", "SQLITE"), (False, True))
async def a_database(trial: Trial) -> object:
    """Return whether a database file exists after a sign-in."""
    sessions = await _started(trial)
    await sessions.sign_in("alice")
    await sessions.close()
    return bool([*trial.folder.glob("*.db")])


POSTGRES = DUAL | {"store": {"url": "postgresql://a@127.0.0.1:1/a", "secrets_file": "refresh.json"}}


@case("store.listen_url", POSTGRES, (None, "postgresql://a@127.0.0.1:2/a"), (1, 2))
@case("store.listen_url_env", POSTGRES, (None, "LISTEN"), (1, 2))
async def a_port_that_the_feed_connects_to(trial: Trial) -> object:
    """Return the port, as the error of a closed one names it."""
    sessions = trial.components().sessions
    assert sessions is not None
    with pytest.raises(Unavailable, match="Connect call failed") as caught:
        await sessions.store.follow(NOW, Reading())
    return 2 if "127.0.0.1', 2" in caught.value.detail else 1


@case("store.statement_cache_size", POSTGRES, (None, 0), (100, 0))
async def a_connections_prepared_statements(trial: Trial) -> object:
    """Return how many a connection keeps."""
    sessions = trial.components().sessions
    assert sessions is not None
    assert isinstance(sessions.store, PostgresStore)
    return sessions.store._connections._statement_cache_size


VALKEY = DUAL | {"store": {"url": "valkey://127.0.0.1:1/0", "secrets_file": "refresh.json"}}
SQLITE = DUAL | {"store": {"url": "sqlite:x.db", "secrets_file": "refresh.json"}}


def an_option(name: str) -> Observe:
    """Return an observer of the value that the store received as `name`."""

    async def observe(trial: Trial) -> object:
        sessions = trial.components().sessions
        assert sessions is not None
        return getattr(sessions.store, f"_{name}")

    return observe


case("store.timeout_seconds", VALKEY, (None, 0.5), (2, 0.5))(an_option("timeout"))
case("store.most_connections", VALKEY, (None, 3), (50, 3))(an_option("most_connections"))
case("store.prefix", VALKEY, (None, "shop"), ("linqi", "shop"))(an_option("prefix"))
case("store.min_replicas", VALKEY, (None, 2), (0, 2))(an_option("min_replicas"))
case("store.poll_seconds", SQLITE, (None, 1), (0.05, 1))(an_option("poll_seconds"))


@case("store.secrets_file", DUAL, ("refresh.json", "refresh-other.json"), ("unknown", "refused"))
@case("store.secrets_env", NO_SECRETS, ("REFRESH_A", "REFRESH_B"), ("unknown", "refused"))
async def a_refresh_token_of_ours(trial: Trial) -> object:
    """Return whether one with the secret in refresh.json is looked up in the store."""
    tokens = RefreshTokens(KEYS["HS256"].keys, issuer=ISSUER)
    sessions = await _started(trial)
    try:
        await sessions.refresh(tokens.make(new_session_id("alice"), 0, NOW + 1000))
    except RefreshRefused as error:
        return "unknown" if error.reason == "unknown" else "refused"
    finally:
        await sessions.close()


@case("store.purge_per_second", DUAL, (10, 1000), (10.0, 0.1))
async def seconds_until_the_next_purge(trial: Trial) -> object:
    """Return the pause after a purge that found more than it could delete."""
    components = trial.components()
    assert components.sessions is not None
    return components.sessions._purger._pace.after(100, 0.015).pause


@case("store.stale_after_seconds", DUAL, (2, 3600), (503, 200))
async def a_store_that_fell_silent(trial: Trial) -> object:
    """Return the status two seconds after the store last answered."""
    components = trial.components()
    assert components.sessions is not None
    components.sessions.revocations.begin_read()
    components.sessions.revocations.caught_up()
    await asyncio.sleep(2.1)  # the monotonic clock is real
    return _verified(components)


def _verified(components: Components) -> int:
    try:
        components.verifier.verify(good())
    except Unavailable:
        return 503
    return 200


async def _pairs(trial: Trial, users: int = 1) -> list[Any]:
    sessions = await _started(trial)
    pairs = [await sessions.sign_in(f"user-{n}") for n in range(users)]
    await sessions.close()
    return pairs


@case("sessions.idle_seconds", DUAL, (3600, 7200), (3600, 7200))
async def a_refresh_tokens_life(trial: Trial) -> object:
    """Return how long a refresh token lives."""
    (pair,) = await _pairs(trial)
    return pair.refresh_expires_at - int(NOW)


@case("sessions.absolute_seconds", FIXED_DUAL_END, (3600, 7200), (3600, 7200))
async def a_stored_sessions_end(trial: Trial) -> object:
    """Return how long a session may last."""
    (pair,) = await _pairs(trial)
    return pair.session_ends_at - int(NOW)


@case("sessions.cap_spread", DUAL, (0, 0.5), (True, False))
async def whether_stored_sessions_end_together(trial: Trial) -> object:
    """Return whether ten sessions have one end."""
    return len({pair.session_ends_at for pair in await _pairs(trial, 10)}) == 1


@case("sessions.grace_seconds", DUAL, (10, 60), ("recovered", "replayed"))
@case("sessions.recover_seconds", DUAL, (86_400, 15), ("recovered", "reused"))
async def a_refresh_token_again(trial: Trial) -> object:
    """Return the outcome of a refresh token presented again after twenty seconds."""
    sessions = await _started(trial)
    pair = await sessions.sign_in("alice")
    await sessions.refresh(pair.refresh_token)
    trial.clock.move(20)
    try:
        return (await sessions.refresh(pair.refresh_token)).outcome
    except RefreshRefused as error:
        return error.reason
    finally:
        await sessions.close()


@case("sessions.most_forgotten", DUAL, (0, 1), ("reused", "recovered"))
async def a_refresh_token_that_the_store_forgot(trial: Trial) -> object:
    """Return the outcome of a refresh token whose rotation the store has lost."""
    sessions = await _started(trial)
    first = await sessions.sign_in("alice")
    before = await sessions.find(first.session_id)
    assert before is not None
    pair = await sessions.refresh(first.refresh_token)
    await overwrite(sessions.store, before)
    try:
        return (await sessions.refresh(pair.refresh_token)).outcome
    except RefreshRefused as error:
        return error.reason
    finally:
        await sessions.close()


@case("sessions.most_sessions", DUAL, (1, 5), (1, 2))
async def sessions_of_one_subject(trial: Trial) -> object:
    """Return how many sessions exist after two sign-ins."""
    sessions = await _started(trial)
    for _ in range(2):
        await sessions.sign_in("alice")
    living = await sessions.sessions("alice")
    await sessions.close()
    return len(living)


@case("sessions.revoke_session", DUAL, (False, True), ("rotated", "revoked"))
async def a_refresh_after_revoking_the_access_token(trial: Trial) -> object:
    """Return the outcome of a refresh after POST /revoke with the access token."""
    components = trial.components()
    assert components.sessions is not None
    await components.sessions.start()
    pair = await components.sessions.sign_in("alice")
    app = wrap(App(), components, authenticate=lambda form: None)
    scope = http("/revoke", method="POST", headers=[(b"content-type", b"application/json")])

    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps({"token": pair.access_token}).encode()}

    answer = Answer()
    await app(scope, receive, answer.send)
    assert answer.status == 200
    try:
        return (await components.sessions.refresh(pair.refresh_token)).outcome
    except RefreshRefused as error:
        return error.reason
    finally:
        await components.sessions.close()


# -- HTTP ----------------------------------------------------------------------------------------

COOKIE = PLAIN | {
    "http": {"accept": ["cookie"]},
    "cookies": {"origins": ["https://app.example"]},
}
PLAIN_COOKIE = COOKIE | {"cookies": COOKIE["cookies"] | {"access_name": "access"}}


@case("http.accept", COOKIE, (["header"], ["cookie"]), (200, 401))
async def a_bearer_token(trial: Trial) -> object:
    """Return the status of a request with a bearer token."""
    return await trial.status(good())


@case(
    "http.token_headers",
    OWN,
    (["Authorization: Bearer"], ["X-Token", "Authorization: Token"]),
    ((200, 401, 401), (400, 200, 200)),
)
async def the_headers_of_tokens(trial: Trial) -> object:
    """Return the statuses of one token in Authorization: Bearer, in X-Token and as Token."""
    token = good().encode()
    places = (
        (b"authorization", b"Bearer " + token),
        (b"x-token", token),
        (b"authorization", b"Token " + token),
    )
    return tuple([(await call(trial.app(), http(headers=[each]))).status for each in places])


@case("http.token_origins", NAMED_HEADER, ([], ["https://app.example"]), (200, 400))
async def a_page_of_another_site(trial: Trial) -> object:
    """Return the status of a POST of another site's page with the proxy's header."""
    headers = [(b"x-token", good().encode()), (b"origin", b"https://evil.example")]
    return (await call(trial.app(), http(method="POST", headers=headers))).status


@case("http.successor_header", PLAIN, ("X-Refresh-Token", "X-Next"), (False, True))
async def the_header_of_a_successor(trial: Trial) -> object:
    """Return whether a successor is in X-Next."""
    return (await trial.near_expiry()).header("x-next") is not None


@case("http.subprotocol", SUBPROTOCOL, ("bearer", "else"), (True, False))
async def a_socket_by_subprotocol(trial: Trial) -> object:
    """Return whether a WebSocket that offers bearer and a token reaches the application."""
    app = App()
    peer = Peer(subprotocols=["bearer", good()])
    await peer.run(trial.app(app))
    return bool(app.scopes)


@case("http.expose_to", PLAIN, (["https://app.example"], []), ("x-refresh-token", None))
async def the_exposed_headers(trial: Trial) -> object:
    """Return the header that a script of app.example may read."""
    return (await trial.near_expiry()).header("access-control-expose-headers")


@case("http.realm", OWN, ("api", "shop"), ('Bearer realm="api"', 'Bearer realm="shop"'))
async def the_challenge(trial: Trial) -> object:
    """Return the challenge for a request without a token."""
    return (await call(trial.app(), http())).header("www-authenticate")


METADATA_URL = "https://id.example/.well-known/oauth-protected-resource"
RESOURCE: dict[str, Any] = OUTSIDE | {
    "resource": {
        "url": "https://api.example/v1",
        "authorization_servers": ["https://id.example"],
        "scopes_supported": ["a", "b"],
    }
}


@case(
    "http.resource_metadata",
    OWN,
    (METADATA_URL, f"{METADATA_URL}/v2"),
    (
        f'Bearer realm="api", resource_metadata="{METADATA_URL}"',
        f'Bearer realm="api", resource_metadata="{METADATA_URL}/v2"',
    ),
)
@case(
    "resource.challenge_scopes",
    RESOURCE,
    (["a"], []),
    (
        'Bearer realm="api", scope="a", resource_metadata='
        '"https://api.example/.well-known/oauth-protected-resource/v1"',
        'Bearer realm="api", resource_metadata='
        '"https://api.example/.well-known/oauth-protected-resource/v1"',
    ),
)
async def the_challenge_with_metadata(trial: Trial) -> object:
    """Return the challenge for a request without a token."""
    return await the_challenge(trial)


def published(key: str, member: str, values: Any, seen: Any) -> None:
    """Register a key of [resource] with the member of the document that it sets."""

    @case(f"resource.{key}", RESOURCE, values, seen)
    async def observe(trial: Trial) -> object:
        resource = trial.components().resource
        assert resource is not None
        document = await call(trial.app(), http(resource.path))
        return json.loads(document.messages[-1]["body"]).get(member)


_API, _ID = "https://api.example", "https://id.example"
published("url", "resource", (f"{_API}/v1", _API), (f"{_API}/v1", _API))
published("authorization_servers", "authorization_servers", ([_ID], [_API]), ([_ID], [_API]))
published("scopes_supported", "scopes_supported", (["a"], []), (["a"], None))
published("name", "resource_name", ("A", "B"), ("A", "B"))
published("documentation", "resource_documentation", (_API, _ID), (_API, _ID))


PROBLEM = OWN | {"http": {"refusal_format": "problem"}}
ENVELOPE = OWN | {"http": {"refusal_format": "envelope"}}


async def refused_body(trial: Trial) -> Any:
    """Return the JSON body of a refused request from a Chinese browser."""
    answer = await call(trial.app(), http(headers=[(b"accept-language", b"zh-CN")]))
    return json.loads(answer.messages[1]["body"])


@case("http.refusal_format", OWN, ("rfc6750", "detail"), (["error"], ["code", "detail"]))
async def the_members_of_a_refusal(trial: Trial) -> object:
    """Return the names in the body."""
    return sorted(await refused_body(trial))


@case("http.refusal_negotiate", PROBLEM, (True, False), ("请先登录", "Authentication is required"))
@case(
    "http.refusal_language",
    PROBLEM | {"http": PROBLEM["http"] | {"refusal_negotiate": False}},
    ("en", "zh-CN"),
    ("Authentication is required", "请先登录"),
)
@case("http.refusal_texts", PROBLEM, ({}, {"zh-CN": {"no_token": "登录"}}), ("请先登录", "登录"))
async def the_text_of_a_refusal(trial: Trial) -> object:
    """Return the text for the user."""
    return (await refused_body(trial))["detail"]


@case("http.refusal_type_base", PROBLEM, (None, "urn:e:"), ("about:blank", "urn:e:no_token"))
async def the_type_of_a_problem(trial: Trial) -> object:
    """Return the type (RFC 9457)."""
    return (await refused_body(trial))["type"]


@case("http.refusal_numbers", ENVELOPE, ({}, {"no_token": 40100}), ("no_token", 40100))
async def the_code_of_an_envelope(trial: Trial) -> object:
    """Return the code."""
    return (await refused_body(trial))["code"]


@case("http.skip_cacheable", PLAIN, (False, True), (True, False))
async def a_successor_in_a_cacheable_response(trial: Trial) -> object:
    """Return whether a response that may be cached has a successor."""
    app = App(headers=[(b"cache-control", b"public, max-age=60")])
    return (await trial.near_expiry(app=app)).successor is not None


@case("http.quiet_header", PLAIN, ("X-Quiet", "X-Other"), (False, True))
@case("paths.quiet", PLAIN, (["/me"], []), (False, True))
async def a_successor_of_a_quiet_request(trial: Trial) -> object:
    """Return whether a poll near expiry returns a successor."""
    return (await trial.near_expiry(headers=[(b"x-quiet", b"1")])).successor is not None


@case("http.socket_check_seconds", PLAIN, (0.01, 3600), ("closed", "open"))
async def a_socket_whose_token_ends(trial: Trial) -> object:
    """Return whether the socket is closed soon after its token's expiry."""
    app = trial.app(echo)
    assert app.renewal is not None
    peer = Peer(app.renewal.start("alice").token, ended=[])
    serving = asyncio.create_task(peer.run(app))
    while not any(message["type"] == "websocket.accept" for message in peer.sent):
        await asyncio.sleep(0.001)
    trial.clock.move(1000)
    await soon(serving.done)
    is_closed = any(message.get("code") == 4401 for message in peer.sent)
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await serving
    return "closed" if is_closed else "open"


@case("http.end_streams", PLAIN, (True, False), ("ended", "open"))
@case("http.stream_grace_seconds", PLAIN, (10, 3600), ("ended", "open"))
async def an_event_stream_whose_token_ends(trial: Trial) -> object:
    """Return whether the stream ends soon, 100 s after exp."""

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        trial.clock.now = scope["linqi"].expires_at + 100
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await soon(lambda: False)

    app = trial.app(stream)
    assert app.renewal is not None
    answer = await call(app, http(token=app.renewal.start("alice").token))
    return "ended" if len(answer.messages) == 2 else "open"


@case("paths.public", OWN, (["/me"], []), (200, 401))
@case("paths.optional", OWN, (["/me"], []), (200, 401))
async def a_request_without_token(trial: Trial) -> object:
    """Return the status of a request without a token."""
    return await trial.status()


async def _login(trial: Trial, path: str = "/login", *, times: int = 1, **form: str) -> Answer:
    """Sign in, with a wrong password if one is given; return the last response."""

    def authenticate(fields: Any) -> Person | None:
        return None if fields["password"] else Person(subject=fields["username"])

    components = trial.components()
    app = wrap(App(204), components, authenticate=authenticate)
    assert components.sessions is not None
    await components.sessions.start()
    headers = [
        (b"content-type", b"application/json"),
        (b"x-token-delivery", b"cookie"),
        (b"sec-fetch-site", b"same-origin"),
    ]
    if "device" in form:
        headers.append((b"cookie", f"__Host-refresh-device={form['device']}".encode()))
    for number in range(times):
        fields = {"username": form.get("username", "al").format(number)}
        fields["password"] = form.get("password", "")
        address = form.get("address", "10.0.0.1").format(number)
        body = json.dumps(fields).encode()
        answer = Answer()

        async def receive(body: bytes = body) -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = http(path, method="POST", headers=headers, client=(address, 1))
        await app(scope, receive, answer.send)
    await components.sessions.close()
    return answer


@case("paths.sessions_prefix", LOGIN, ("/auth", None), (200, 401))
async def a_login_below_a_prefix(trial: Trial) -> object:
    """Return the status of a POST to /auth/login."""
    return (await _login(trial, "/auth/login")).status


def _cookies(answer: Answer) -> dict[str, str]:
    """Return the cookies that a response sets."""
    parts = [v.decode().partition(";")[0] for k, v in answer.headers if k == b"set-cookie"]
    return {name: value for name, _, value in (part.partition("=") for part in parts)}


@case("cookies.refresh_name", LOGIN, ("__Host-refresh", "__Host-r"), (False, True))
async def the_refresh_cookie(trial: Trial) -> object:
    """Return whether a login sets __Host-r."""
    return "__Host-r" in _cookies(await _login(trial))


@case("cookies.refresh_secure", PLAIN_REFRESH_COOKIE, (False, True), (400, "refused"))
async def a_refresh_cookie_without_prefix(trial: Trial) -> object:
    """Return the status of a login that is not on loopback, or whether the cookie is refused."""
    try:
        return (await _login(trial)).status
    except ConfigurationError:
        return "refused"


@case("cookies.origins", COOKIE, (["https://app.example"], ["https://b.example"]), (200, 400))
@case("cookies.access_name", COOKIE, ("__Host-access", "__Host-b"), (200, 401))
async def a_cookie_of_app_example(trial: Trial) -> object:
    """Return the status of a POST from app.example with the token in __Host-access."""
    headers = [
        (b"origin", b"https://app.example"),
        (b"cookie", b"__Host-access=" + good().encode()),
    ]
    return await trial.status(method="POST", headers=headers)


@case("cookies.previous_name", COOKIE, ("old", None), (200, 401))
async def a_cookie_of_an_earlier_system(trial: Trial) -> object:
    """Return the status of a request with the token in a cookie of another name."""
    return await trial.status(headers=[(b"cookie", b"old=" + good().encode())])


@case("cookies.access_secure", PLAIN_COOKIE, (False, True), ("set without Secure", "refused"))
async def a_cookie_without_prefix(trial: Trial) -> object:
    """Return how a cookie without __Host- is set, or that it is refused."""
    try:
        app = trial.app()
    except ConfigurationError:
        return "refused"
    session = {"auth_time": int(NOW) - 800, "session_end": int(NOW) + 9999}
    token = good(exp=int(NOW) + 100, **session)
    answer = await call(app, http(headers=[(b"cookie", b"access=" + token.encode())]))
    cookie = str(answer.header("set-cookie"))
    is_set = cookie.startswith("access=") and "Secure" not in cookie
    return "set without Secure" if is_set else cookie


TIGHT = DUAL | {"throttle": {"per_pair": "5 per hour"}}


@case("throttle.enabled", TIGHT, (True, False), (429, 400))
@case("throttle.per_pair", TIGHT, ("5 per hour", "9 per hour"), (429, 400))
async def a_seventh_wrong_password(trial: Trial) -> object:
    """Return the status of the seventh failure from one address for one name."""
    return (await _login(trial, times=7, password="wrong")).status


@case("throttle.per_address", LOGIN, ("5 per hour", "90 per hour"), (429, 400))
async def a_seventh_name(trial: Trial) -> object:
    """Return the status of the seventh failure from one address, each for another name."""
    return (await _login(trial, times=7, password="wrong", username="al{}")).status


@case("throttle.per_name", LOGIN, ("5 per hour", "90 per hour"), (429, 400))
async def a_seventh_address(trial: Trial) -> object:
    """Return the status of the seventh failure for one name, each from another address."""
    return (await _login(trial, times=7, password="wrong", address="10.0.0.{}")).status


@case("throttle.proxies", PER_ADDRESS, ([], ["10.0.0.0/8", "192.0.2.1"]), (429, 400))
async def a_seventh_name_from_a_proxy(trial: Trial) -> object:
    """Return the status of the seventh failure from 10.0.0.1, each for another name."""
    return (await _login(trial, times=7, password="wrong", username="al{}")).status


@case("throttle.per_device", LOGIN, ("5 per hour", "90 per hour"), (429, 400))
async def a_seventh_failure_on_a_device(trial: Trial) -> object:
    """Return the status of the seventh failure on a known device, each from another address."""
    device = _cookies(await _login(trial))["__Host-refresh-device"]
    more = {"password": "wrong", "address": "10.0.0.{}", "device": device}
    return (await _login(trial, times=7, **more)).status


@case("throttle.device_seconds", LOGIN, (7_776_000, 3_600), (True, False))
async def a_device_after_two_hours(trial: Trial) -> object:
    """Return whether a sign-in has a cookie of a device that lives for two hours or longer."""
    answer = await _login(trial)
    (cookie,) = [v.decode() for k, v in answer.headers if b"-device=" in v]
    return int(cookie.partition("Max-Age=")[2].partition(";")[0]) >= 7_200


@case("throttle.storage", LOGIN, ("memory:", UNKNOWN_STORAGE), (400, "refused"))
@case("throttle.storage_env", LOGIN, ("COUNTED_HERE", "COUNTED_NOWHERE"), (400, "refused"))
async def where_failures_are_counted(trial: Trial) -> object:
    """Return the status of a failure; or that the storage is refused."""
    try:
        return (await _login(trial, password="wrong")).status
    except ConfigurationError:
        return "refused"


# -- clients -------------------------------------------------------------------------------------


def _verdict(trial: Trial, left: float, **options: Any) -> str:
    """Return the verdict on a token of 900 seconds that has `left`."""
    options |= {"settings": trial.config.client.settings()}
    held = hold(issued_at=NOW, expires_at=NOW + 900, wall=NOW, monotonic=0, **options)
    return judge(held, NOW + 900 - left, 900 - left)


@case("client.advisory_seconds", {}, (300, 60), ("advisory", "fresh"))
@case("client.mandatory_seconds", {}, (30, 150), ("advisory", "mandatory"))
@case("client.share", {}, (0.5, 0.05), ("advisory", "fresh"))
async def a_clients_verdict(trial: Trial) -> object:
    """Return the verdict on a token with 100 seconds left."""
    return _verdict(trial, 100)


@case("client.jitter", {}, (0, 0.5), ("fresh", "advisory"))
async def a_clients_verdict_at_its_earliest(trial: Trial) -> object:
    """Return the verdict of the earliest client on a token with 400 seconds left."""
    return _verdict(trial, 400, chance=1.0)


@case("storm.require", {}, (["storm_factor <= 1000"], ["storm_factor <= 1"]), ("PASS", "FAIL"))
async def the_verdict_of_a_storm(trial: Trial) -> object:
    """Return the verdict on a recorded storm under the requirements of the file."""
    file = trial.folder / "linqi.toml"
    file.write_text(f"[storm]\nrequire = {json.dumps(list(trial.config.storm.require))}\n")
    run = load_run(Path(__file__).parent / "storms" / "plain.json")
    held = tuple(replace(check, passed=True) for check in run.checks)
    return read_required([], file=file).judge(replace(run, checks=held)).verdict
