"""Scopes and logins that a route asks for (H1; RFC 6750, RFC 9470)."""

from typing import Any

import pytest

from asgi import App, call, http
from linqi import ANONYMOUS, ConfigurationError, Key, RequireLogin, RequireScopes, has_scopes
from tokens import NOW, good_claims, make, verifier_of

KEY = Key.generate("HS256")


def known(**claims: Any) -> dict[str, Any]:
    """Return a scope whose caller was verified with these claims."""
    return http(linqi=verifier_of(KEY).verify(make(KEY, good_claims(**claims))))


async def test_a_missing_scope_is_403_with_what_is_needed() -> None:
    """The challenge names the scopes, so that a client can ask for them."""
    guarded = RequireScopes(App(), "read", "admin")
    answer = await call(guarded, known(scope="read"))
    assert answer.status == 403
    assert answer.header("www-authenticate") == (
        'Bearer realm="api", error="insufficient_scope", scope="read admin"'
    )
    assert (await call(guarded, known(scope="admin x read"))).status == 200
    assert (await call(guarded, http(linqi=ANONYMOUS))).status == 401
    assert (await call(guarded, http())).status == 401


def test_has_scopes_believes_only_a_verified_caller() -> None:
    """Another object in the scope that has scopes is not a verified caller."""

    class Fake:
        scopes = ("admin",)

    assert has_scopes(known(scope="a b"), "a")
    assert not has_scopes(known(scope="ab"), "a")
    assert not has_scopes({"linqi": Fake()}, "admin")


@pytest.mark.parametrize(
    ("claims", "options", "status"),
    [
        ({"auth_time": NOW - 60}, {"max_age": 60}, 200),
        ({"auth_time": NOW - 61}, {"max_age": 60}, 401),
        ({}, {"max_age": 60}, 401),
        ({"acr": "gold"}, {"acr_values": ["gold"]}, 200),
        ({"acr": "tin"}, {"acr_values": ["gold"]}, 401),
        ({}, {"acr_values": ["gold"]}, 401),
    ],
)
async def test_step_up_asks_for_a_new_login(
    claims: dict[str, Any], options: dict[str, Any], status: int
) -> None:
    """An old or weak login is answered with what would do."""
    answer = await call(RequireLogin(App(), clock=lambda: NOW, **options), known(**claims))
    assert answer.status == status
    if status == 401:
        challenge = answer.header("www-authenticate") or ""
        assert 'error="insufficient_user_authentication"' in challenge
        assert ('max_age="60"' in challenge) == ("max_age" in options)
        assert ('acr_values="gold"' in challenge) == ("acr_values" in options)


async def test_step_up_refuses_nobody_in_particular() -> None:
    """Without a verified caller a login is what is missing."""
    assert (await call(RequireLogin(App(), max_age=1), http())).status == 401


@pytest.mark.parametrize("needed", [(), ("",), ('a"b',), ("a b",), ("é",)])
def test_scope_names_must_fit_a_challenge(needed: tuple[str, ...]) -> None:
    """H8: what cannot stand in the header is refused when the guard is made."""
    with pytest.raises(ConfigurationError):
        RequireScopes(App(), *needed)
    with pytest.raises(ConfigurationError):
        RequireLogin(App(), acr_values=needed)
