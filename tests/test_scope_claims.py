"""Scopes under other names: scp, permissions, roles, nested ones (`TrustedIssuer.scope_claims`)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from asgi import App, call, http
from linqi import ConfigurationError, JWTMiddleware, Key, RemoteKeys, RequireScopes, Verifier
from linqi.errors import InvalidClaim, TokenError
from linqi.jose.claim_paths import ABSENT
from linqi.jose.claims import is_scope
from linqi.testing import FakeIssuer
from tokens import good_claims, make, verifier_of

KEY = Key.generate("HS256")


def scopes(names: Any, **claims: Any) -> tuple[str, ...]:
    """Return the scopes of a token with `claims`, read twice: as a new header, and a known one."""
    verifier = verifier_of(KEY, scope_claims=names, cache=None)
    found = [verifier.verify(make(KEY, good_claims(**claims))).scopes for _ in range(3)]
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize(
    ("names", "claims", "expected"),
    [
        (["scp"], {"scp": "User.Read Mail.Read"}, ("User.Read", "Mail.Read")),  # Entra ID
        (["scp"], {"scp": ["openid", "orders:read"]}, ("openid", "orders:read")),  # Okta
        (["scope", "permissions"], {"permissions": ["r:x", "read"]}, ("read", "write", "r:x")),
        (["roles"], {"roles": ["Task.Write"]}, ("Task.Write",)),
        (["realm_access.roles"], {"realm_access": {"roles": ["admin"]}}, ("admin",)),
        (
            [("resource_access", "shop.web", "roles")],
            {"resource_access": {"shop.web": {"roles": ["buyer"]}}},
            ("buyer",),
        ),
        (["https://shop.example/roles"], {"https://shop.example/roles": ["a"]}, ("a",)),
        (["cognito:groups"], {"cognito:groups": ["staff"]}, ("staff",)),
        (["scp", "scope"], {"scp": ["write", "x", "x"]}, ("write", "x", "read")),
        (["scp"], {}, ()),
        (["a.b.c"], {"a": {"b": {}}}, ()),
        ([], {}, ()),
    ],
)
def test_scopes_are_read_from_the_named_claims_only(
    names: Any, claims: dict[str, Any], expected: tuple[str, ...]
) -> None:
    """Texts and lists, in the order of the names, each scope once; an absent claim adds nothing."""
    assert scopes(names, **claims) == expected


@pytest.mark.parametrize(
    "value", [None, 7, True, {}, {"admin": True}, [["admin"]], ["admin", 7], ["admin", None]]
)
def test_v19_a_claim_of_another_type_refuses_the_token(value: Any) -> None:
    """The error names the claim."""
    verifier = verifier_of(KEY, scope_claims=["scope", "a.roles"])
    with pytest.raises(InvalidClaim, match=r"a\.roles") as caught:
        verifier.verify(make(KEY, good_claims(a={"roles": value})))
    assert "admin" not in str(caught.value)


@pytest.mark.parametrize(
    "claims",
    [
        {"a.roles": ["admin"]},
        {"__proto__": {"a": {"roles": ["admin"]}}},
        {"a": {"a.roles": "admin"}},
    ],
)
def test_v19_a_dotted_name_does_not_shadow_a_path(claims: dict[str, Any]) -> None:
    """Who can choose the name of a claim, such as of a custom attribute, gains no scope."""
    assert scopes(["a.roles"], **claims) == ()


@pytest.mark.parametrize("between", [[], "x", None])
def test_v19_a_path_goes_through_objects_only(between: Any) -> None:
    """Something else on the way refuses the token."""
    with pytest.raises(InvalidClaim, match=r"claim a is not an object"):
        scopes(["a.roles"], a=between)


def test_v19_what_is_no_scope_is_left_out() -> None:
    """Roles that users name: one with a space stays none, and does not become two by joining."""
    odd = [
        "x admin",
        " ",
        "",
        'a"b',
        "a\\b",
        "a\nb",
        "a\u00a0admin",
        "rôle",
        "管理员",
        "a\0b",
        "ok",
    ]
    assert scopes(["roles"], roles=odd) == ("ok",)
    assert scopes(["scope"], scope=odd) == ("ok",)
    for text in ("a\u00a0admin", "a\tadmin", "a\u2003admin", "a\nadmin"):
        assert scopes(["roles"], roles=text) == ()
        assert scopes(["scope"], scope=text) == ()
    assert scopes(["scope"], scope=" a  b a ") == ("a", "b")


LISTED = st.one_of(
    st.text(max_size=9),
    st.lists(st.text(st.sampled_from('ab \t\u00a0"é'), max_size=3), max_size=4),
    st.none(),
    st.integers(),
    st.lists(st.integers() | st.none(), max_size=2),
    st.dictionaries(st.just("r"), st.text(max_size=3), max_size=1),
)


@given(st.fixed_dictionaries({}, optional={"scope": LISTED, "scp": LISTED, "a": LISTED}))
def test_the_scopes_are_those_of_a_plain_reading(claims: dict[str, Any]) -> None:
    """For any claims: what the rule says in two lines, from the fast decoder and the slow path."""
    for names in (["scope"], ["scope", "scp"], ["scp", "a.r"]):
        verifier = verifier_of(KEY, scope_claims=names, cache=None)
        fresh = verifier_of(KEY, scope_claims=names, cache=None)
        base = good_claims(scope=...)
        for _ in range(2):
            verifier.verify(make(KEY, base | {"scope": "seen"}))  # learned, where it can be
        outcomes = []
        for each in (verifier, verifier, fresh):
            try:
                outcomes.append(each.verify(make(KEY, base | claims)).scopes)
            except TokenError as error:
                outcomes.append((error.code, str(error)))
        assert outcomes[0] == outcomes[1] == outcomes[2]
        if (expected := plainly(names, claims)) is not None:
            assert outcomes[0] == expected
        else:
            assert outcomes[0][0] == "invalid_claim"


def plainly(names: list[str], claims: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the scopes; None where the token is refused."""
    found: list[str] = []
    for name in dict.fromkeys(["scope", *names]):  # scope itself is always text or list of texts
        value: Any = claims
        for part in name.split("."):
            if value is not ABSENT and not isinstance(value, dict):
                return None
            value = ABSENT if value is ABSENT else value.get(part, ABSENT)
        value = "" if value is ABSENT else value
        listed = value.split(" ") if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            return None
        found += listed if name in names else []
    return tuple(dict.fromkeys(item for item in found if is_scope(item)))


async def test_guards_and_frameworks_see_the_scopes() -> None:
    """`RequireScopes`, ``request.user.scopes`` and Starlette's ``@requires``."""

    @requires("orders:read")
    async def orders(request: Request) -> JSONResponse:
        return JSONResponse([*request.user.scopes])

    site = Starlette(routes=[Route("/", orders)])
    verifier = verifier_of(KEY, scope_claims=["permissions"])
    good = make(KEY, good_claims(permissions=["orders:read"]))
    plain = make(KEY, good_claims(scope="orders:read"))
    client = TestClient(JWTMiddleware(site, verifier))
    answer = client.get("/", headers={"Authorization": f"Bearer {good}"})
    assert answer.json() == ["orders:read"]
    assert client.get("/", headers={"Authorization": f"Bearer {plain}"}).status_code == 403
    app = App()
    guarded = JWTMiddleware(
        RequireScopes(app, "orders:read"), verifier_of(KEY, scope_claims=["permissions"])
    )
    assert (await call(guarded, http(token=good))).status == 200
    refused = await call(guarded, http(token=plain))
    assert refused.status == 403
    assert b'scope="orders:read"' in dict(refused.headers)[b"www-authenticate"]


async def test_h8_a_role_cannot_break_the_challenge() -> None:
    """The challenge has the scopes that are needed, nothing of the token."""
    evil = ['x", realm="evil', "a\r\nSet-Cookie: a=b", "x" * 2000, "rôle"]
    guarded = JWTMiddleware(
        RequireScopes(App(), "orders:read"), verifier_of(KEY, scope_claims=["roles"])
    )
    answer = await call(guarded, http(token=make(KEY, good_claims(roles=evil))))
    assert answer.status == 403
    assert b"evil" not in dict(answer.headers)[b"www-authenticate"]


def test_long_lists_are_read_once() -> None:
    """As many roles as a token can have."""
    roles = [f"r{n}" for n in range(1400)]
    assert scopes(["roles", "scope", "roles"], roles=roles) == (*roles, "read", "write")


@pytest.mark.parametrize(
    "names", ["scope", None, [""], [7], ["a..b"], [[]], [["a", ""]], {"scope": 1}, ["scope", None]]
)
def test_wrong_names_are_found_at_construction(names: Any) -> None:
    """A text is no list of names, and a path has no empty part."""
    with pytest.raises(ConfigurationError, match="scope_claims"):
        verifier_of(KEY, scope_claims=names)


def test_d7_own_tokens_have_their_scopes_in_scope() -> None:
    """Renewal narrows ``scope``: with another claim a successor could have more than was left."""
    with pytest.raises(ConfigurationError, match="own issuer"):
        verifier_of(KEY, scope_claims=["roles"], own=True)
    assert verifier_of(KEY, scope_claims=["scope"], own=True)


def test_the_issuer_for_tests_writes_the_claims_that_the_application_reads() -> None:
    """`FakeIssuer.token(scopes=)` goes where `scope_claims` says, beside what is required."""
    keys = RemoteKeys("https://id.example", ["ES256"])
    trusted = keys.trust(
        "api",
        scope_claims=["realm_access.roles", "scope"],
        required_claims={"realm_access": {"roles": ["staff"]}, "email_verified": [True, "true"]},
    )
    verifier = Verifier(trusted)
    site = Starlette(routes=[Route("/", lambda request: JSONResponse([*request.user.scopes]))])
    site.add_middleware(JWTMiddleware, verifier=verifier)
    with FakeIssuer().attach(site) as issuer, TestClient(site) as client:
        token = issuer.token("bob", scopes=["admin"])
        answer = client.get("/", headers={"Authorization": f"Bearer {token}"})
        assert answer.json() == ["staff", "admin"]
        assert verifier.verify(token).claims["email_verified"] is True
