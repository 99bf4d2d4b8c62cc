"""Required claims: present, of the right type, and one of the accepted values (V19)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ConfigurationError, Key
from linqi._base64url import encode as encode_segment
from linqi.errors import InvalidClaim, MalformedToken, MissingClaim, TokenError
from tokens import NOW, good_claims, make, verifier_of

KEY = Key.generate("HS256")


def accepts(required: Any, **claims: Any) -> bool:
    """Return whether a token with `claims` is accepted."""
    try:
        verifier_of(KEY, required_claims=required).verify(make(KEY, good_claims(**claims)))
    except InvalidClaim:
        return False
    return True


def signed(payload: str) -> str:
    """Return a token of exactly these claims."""
    header = make(KEY, good_claims()).split(".")[0]
    text = f"{header}.{encode_segment(payload.encode()).decode()}"
    return f"{text}.{encode_segment(KEY.sign(text.encode())).decode()}"


def test_required_claims_must_be_present() -> None:
    """A required claim is missing, also if it is null."""
    verifier = verifier_of(KEY, required_claims=["client_id"])
    for claims in (good_claims(), good_claims(client_id=None)):
        with pytest.raises(MissingClaim, match="client_id"):
            verifier.verify(make(KEY, claims))
    assert verifier.verify(make(KEY, good_claims(client_id="web")))


def test_v19_required_claims_may_say_which_value() -> None:
    """V19: compared exactly, one value or several; no pattern, no prefix, no part of a text."""
    wanted = {"token_use": "access", "client_id": ["web", "app"], "jti": None}
    verifier = verifier_of(KEY, required_claims=wanted)
    good = {"token_use": "access", "client_id": "app"}
    assert verifier.verify(make(KEY, good_claims(**good)))
    for name, value in [
        ("token_use", "id"),
        ("token_use", "access "),
        ("token_use", "id access"),
        ("client_id", "we"),
        ("client_id", True),
        ("client_id", {"web": 1}),
    ]:
        with pytest.raises(InvalidClaim, match=name):
            verifier.verify(make(KEY, good_claims(**good | {name: value})))
    with pytest.raises(MissingClaim, match="client_id"):
        verifier.verify(make(KEY, good_claims(token_use="access")))
    with pytest.raises(MissingClaim, match="jti"):
        verifier.verify(make(KEY, good_claims(**good, jti=...)))


def test_v19_of_a_list_in_the_token_one_item_must_be_accepted() -> None:
    """Groups, amr, Cognito's cognito:groups: one of theirs is among ours."""
    required = {"cognito:groups": ["admin", "owner"]}
    assert accepts(required, **{"cognito:groups": ["staff", "owner"]})
    assert not accepts(required, **{"cognito:groups": ["staff"]})
    assert not accepts(required, **{"cognito:groups": []})
    assert not accepts(required, **{"cognito:groups": ["admin owner"]})


@pytest.mark.parametrize(
    "items", [["admin", ["x"]], ["admin", {}], ["admin", None], [["admin"]], [{"admin": 1}]]
)
def test_v19_a_list_with_nested_items_is_refused_and_raises_nothing_else(items: list[Any]) -> None:
    """An item that cannot be hashed is a refusal, not a TypeError, also beside an accepted one."""
    assert not accepts({"groups": ["admin"]}, groups=items)


def test_v19_values_are_compared_with_their_type() -> None:
    """True is neither 1 nor "true"; 1 and 1.0 are one number of JSON."""
    values: list[Any] = [True, False, 1, 0, 1.5, "1", "true", "True"]
    for wanted in values:
        for value in values:
            is_same = type(wanted) is type(value) and wanted == value
            assert accepts({"x": wanted}, x=value) == is_same, (wanted, value)
            assert accepts({"x": [wanted]}, x=[value]) == is_same, (wanted, value)
    assert accepts({"x": 1}, x=1.0)
    assert accepts({"x": 1.0}, x=1)
    assert not accepts({"x": 2**53}, x=2**53 + 1)
    assert not accepts({"x": float(2**53)}, x=2**53 + 1)


def test_v19_email_verified_as_text_or_boolean_is_written_by_name() -> None:
    """Some issuers write "true", others true: what is accepted is listed."""
    required = {"email_verified": [True, "true"]}
    assert [accepts(required, email_verified=v) for v in (True, "true", False, "false", 1)] == [
        *(True, True, False, False, False)
    ]


def test_v19_nested_claims_are_named_by_their_path() -> None:
    """Hasura's and Keycloak's claims: dots, a list of names, or a mapping in the mapping."""
    hasura = {"https://hasura.io/jwt/claims": {"x-hasura-allowed-roles": ["user", "editor"]}}
    keycloak = {
        "realm_access": {"roles": ["offline_access", "admin"]},
        "resource_access": {"shop.web": {"roles": ["buyer"]}},
    }
    for required, claims in [
        ({"realm_access.roles": "admin"}, keycloak),
        ({("resource_access", "shop.web", "roles"): ["buyer"]}, keycloak),
        ({"resource_access": {"shop.web": {"roles": "buyer"}}}, keycloak),
        ({"https://hasura.io/jwt/claims": {"x-hasura-allowed-roles": "editor"}}, hasura),
        (["realm_access.roles", ("resource_access", "shop.web")], keycloak),
    ]:
        assert accepts(required, **claims), required
        assert not accepts(required), required
        assert not accepts(required, **dict.fromkeys(claims, "admin")), required
    assert not accepts({"resource_access.shop.web.roles": "buyer"}, **keycloak)


def test_v19_a_name_whose_value_is_a_mapping_is_one_name() -> None:
    """A cluster's own tokens have ``kubernetes.io``, which TOML cannot write as a list."""
    cluster = {"kubernetes.io": {"namespace": "shop", "pod": {"name": "a"}}}
    assert accepts({"kubernetes.io": {"namespace": "shop"}}, **cluster)
    assert accepts([["kubernetes.io", "pod"]], **cluster)
    assert not accepts({"kubernetes.io": {"namespace": "shop"}}, kubernetes={"io": cluster})
    assert not accepts({"kubernetes.io": {"namespace": "bank"}}, **cluster)


def test_v19_a_list_of_names_and_mappings_holds_for_all_of_them() -> None:
    """TOML has no null for "any value", so names stand beside the table."""
    required = ["azp", {"token_use": "access", "a": {"b": True}}, "a.c", {"x": 1}]
    good: dict[str, Any] = {"azp": "w", "token_use": "access", "a": {"b": True, "c": 0}, "x": 1}
    assert accepts(required, **good)
    for wrong in ({"azp": ...}, {"token_use": "id"}, {"a": {"b": True}}, {"x": True}):
        assert not accepts(required, **good | wrong)


@pytest.mark.parametrize(
    "claims",
    [
        {"realm_access.roles": ["admin"]},
        {"realm_access": "roles"},
        {"realm_access": ["roles"]},
        {"realm_access": None},
        {"realm_access": {"roles.admin": 1, "Roles": ["admin"]}},
        {"__proto__": {"realm_access": {"roles": ["admin"]}}},
        {"realm_access": {"__proto__": {"roles": ["admin"]}}},
        {"realm_access": {"roles": {"0": "admin", "admin": True}}},
        {"realm_access": {"roles": {"__class__": "admin"}}},
    ],
)
def test_v19_nothing_stands_for_a_nested_claim_but_itself(claims: dict[str, Any]) -> None:
    """A dotted name does not shadow a path, and neither lists nor texts are gone into."""
    assert not accepts({"realm_access.roles": "admin"}, **claims)


def test_v11_a_name_that_occurs_twice_on_the_way_is_refused() -> None:
    """Programs differ about which of two members counts; signed or not, neither does here."""
    base = json.dumps(good_claims(), separators=(",", ":"))[:-1]
    verifier = verifier_of(KEY, required_claims={"a.b": "x"}, scope_claims=["a.b"])
    assert verifier.verify(signed(base + ',"a":{"b":"x"}}'))
    for text in (
        '"a":{"b":"x","b":"x"}',
        '"a":{"b":"y"},"a":{"b":"x"}',
        '"a":{"b":"x","\\u0062":1}',
    ):
        with pytest.raises(MalformedToken, match="twice"):
            verifier.verify(signed(f"{base},{text}}}"))
    with pytest.raises(MalformedToken, match="nested"):
        verifier.verify(signed(f'{base},"a":{{"b":{"[" * 20}{"]" * 20}}}}}'))


def test_the_longest_lists_are_read() -> None:
    """Each item is looked up once: as many as a token can have, among many accepted ones."""
    required = {"groups": [f"g{n}" for n in range(1000)]}
    groups = [f"x{n}" for n in range(1400)]
    assert not accepts(required, groups=groups)
    assert accepts(required, groups=[*groups, "g999"])


@pytest.mark.parametrize(
    "required",
    [
        "sub",
        7,
        None,
        [""],
        [7],
        [[]],
        [["a", ""]],
        ["a..b"],
        [".a"],
        *({"client_id": values} for values in ("", [], [""], b"x", float("nan"), {}, [None])),
        {"client_id": [["web"]]},
        {"client_id": [float("inf")]},
        {"client_id": object()},
        {7: "x"},
        {"a": {"": "x"}},
        {"a": {7: "x"}},
        {"a": {"b": {}}},
        [{"a": []}],
        ["b", {"": "x"}],
        [{"a": {"b": None}}, [{"a": "x"}]],
    ],
)
def test_a_required_claim_that_cannot_be_is_found_at_construction(required: Any) -> None:
    """A wrong setting never becomes a check that always, or never, holds."""
    with pytest.raises(ConfigurationError, match="required_claims"):
        verifier_of(KEY, required_claims=required)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from(["", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "a.b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([["a.b"], {"a.b": "a"}, {"a": {"b": [1, True]}}, {"a": {"a.b": 0}}]))
def test_v17_whatever_a_claim_holds_it_is_refused_or_accepted(value: Any, required: Any) -> None:
    """No shape of a claim raises another error than a refusal."""
    verifier = verifier_of(KEY, required_claims=required, scope_claims=["scope", "a.b"])
    try:
        verified = verifier.verify(make(KEY, good_claims(a=value)))
    except TokenError:
        return
    assert verified.expires_at > NOW
    assert type(value) is dict
