"""The caller of a request, as framework integrations read it from the scope."""

from typing import Any

import pytest

from asgi import App, call, http
from linqi import ANONYMOUS, ConfigurationError, JWTMiddleware, Key, Verified
from linqi.asgi.caller import caller_of, loaded_user
from tokens import good_claims, make, verifier_of

KEY = Key.generate("ES256")


async def scope_of(token: str | None) -> Any:
    """Return the scope that an application behind the middleware gets."""
    app = App()
    await call(JWTMiddleware(app, verifier_of(KEY), optional=["/me"], hooks=[]), http(token=token))
    return app.scopes[0]


async def test_the_caller_is_the_verified_token_or_none() -> None:
    """A request without a token on an optional path has no caller."""
    caller = caller_of(await scope_of(make(KEY, good_claims())))
    assert isinstance(caller, Verified)
    assert caller.subject == "alice"
    assert caller_of(await scope_of(None)) is None


@pytest.mark.parametrize("scope", [{}, {"linqi": None}, {"linqi": {"sub": "alice"}}])
def test_a_scope_without_the_middleware_is_no_anonymous_request(scope: Any) -> None:
    """The error says that the middleware is missing."""
    with pytest.raises(ConfigurationError, match="JWTMiddleware is not around"):
        caller_of(scope)


async def test_a_user_is_loaded_once_per_request() -> None:
    """Whether the hook is a coroutine function or not; never for a request without a token."""
    asked: list[str | None] = []

    def load(verified: Verified) -> str:
        asked.append(verified.subject)
        return "Alice"

    async def load_later(verified: Verified) -> str:
        return load(verified)

    for hook in (load, load_later):
        scope = await scope_of(make(KEY, good_claims()))
        assert [await loaded_user(scope, hook) for _ in range(3)] == ["Alice"] * 3
    assert asked == ["alice", "alice"]
    assert await loaded_user({"linqi": ANONYMOUS}, load) is None
    assert len(asked) == 2


async def test_a_user_that_is_gone_is_asked_for_once_too() -> None:
    """None is an answer; it is kept like any other."""
    asked = []
    scope = await scope_of(make(KEY, good_claims()))
    for _ in range(2):
        assert await loaded_user(scope, asked.append) is None
    assert len(asked) == 1


async def test_a_user_of_another_token_is_loaded_anew() -> None:
    """A copy of a scope with another caller does not show the user of the first one."""
    scope = await scope_of(make(KEY, good_claims()))
    assert await loaded_user(scope, lambda verified: verified.subject) == "alice"
    other = await scope_of(make(KEY, good_claims(sub="bob")))
    mixed = {**scope, "linqi": other["linqi"]}
    assert await loaded_user(mixed, lambda verified: verified.subject) == "bob"
