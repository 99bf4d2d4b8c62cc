"""Routes that an application marks as public or optional: the first that fits decides."""

import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import App, call, http
from linqi import ConfigurationError, JWTMiddleware, Key, Signer, Verifier
from linqi.asgi._http import Access, PathRules
from linqi.asgi.route_table import WEBSOCKET, RouteRule, RouteTable, pattern_of

PUBLIC, OPTIONAL, GUARDED = Access.PUBLIC, Access.OPTIONAL, Access.GUARDED
SIGNER = Signer(Key.from_secret(bytes(range(32))), issuer="https://shop.example", audience="shop")


def rule(access: Access, name: str) -> RouteRule:
    """Return the rule of a route such as ``GET /items/{id}``; ``MOUNT /static`` takes all."""
    method, _, template = name.partition(" ")
    methods = None if method == "MOUNT" else frozenset({method})
    return RouteRule(access=access, methods=methods, pattern=pattern_of(template), name=name)


class Routes:
    """The routes of an application, which may get more."""

    def __init__(self, *rules: RouteRule) -> None:
        self.rules = [*rules]
        self.faults: list[str] = []

    def table(self) -> RouteTable:
        """Return a table of them."""
        return RouteTable(lambda: (list(self.rules), self.faults), lambda: len(self.rules))


def access(table: RouteTable, request: str, **more: Any) -> Access:
    """Return what a request such as ``GET /items/7`` requires."""
    method, _, path = request.partition(" ")
    scope = http(path, method=method, **more)
    if method == WEBSOCKET:
        scope = {**scope, "type": "websocket"}
        del scope["method"]
    return table.access(scope)


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /users/7", PUBLIC),
        ("GET /users/me", GUARDED),  # an earlier route has it
        ("GET /users/last", PUBLIC),  # a later one never gets it
        ("POST /users/7", GUARDED),
        ("GET /users", GUARDED),
        ("GET /users/7/orders", GUARDED),
        ("GET /news", OPTIONAL),
        ("HEAD /news", GUARDED),
        ("GET /files/a/b.txt", PUBLIC),
        ("GET /files/", PUBLIC),
        ("GET /orders/12", PUBLIC),
        ("GET /orders/twelve", GUARDED),
        ("DELETE /static/x.css", PUBLIC),
        ("PURGE /static/x.css", PUBLIC),
        ("WEBSOCKET /static/x.css", PUBLIC),
        ("PURGE /any", PUBLIC),
        ("WEBSOCKET /any", GUARDED),
        ("WEBSOCKET /feed", PUBLIC),
        ("GET /feed", GUARDED),
        ("WEBSOCKET /users/7", GUARDED),
        ("GET /elsewhere", GUARDED),
    ],
)
def test_the_first_route_that_fits_method_and_path_decides(
    request_line: str, expected: Access
) -> None:
    """As the framework dispatches: order, methods and kinds of parameters count."""
    table = Routes(
        rule(GUARDED, "GET /users/me"),
        rule(PUBLIC, "GET /users/{id}"),
        rule(GUARDED, "GET /users/last"),
        rule(GUARDED, "POST /users/{id}"),
        rule(OPTIONAL, "GET /news"),
        rule(PUBLIC, "GET /files/{name:path}"),
        rule(PUBLIC, "GET /orders/{number:int}"),
        rule(GUARDED, "GET /orders/{name}"),
        rule(PUBLIC, "WEBSOCKET /feed"),
        rule(PUBLIC, "* /any"),
        rule(GUARDED, "WEBSOCKET /any"),
        rule(PUBLIC, "MOUNT /static/{name:path}"),
    ).table()
    assert access(table, request_line) is expected


@pytest.mark.parametrize(
    "path", ["/users/..", "/users/a;b", "/users/%2e", "/users//", "/users/\\x", "/users/7\n"]
)
def test_a_path_that_programs_read_differently_is_guarded(path: str) -> None:
    """Whatever pattern it fits, as with the paths of the operator."""
    table = Routes(rule(PUBLIC, "GET /users/{name:path}")).table()
    assert access(table, f"GET {path}") is GUARDED
    assert access(table, "GET /users/a", raw_path=b"/users%2fa") is GUARDED


def test_paths_below_a_mount_are_compared_without_its_prefix() -> None:
    """``root_path`` is not part of a route."""
    table = Routes(rule(PUBLIC, "GET /users/{id}")).table()
    assert access(table, "GET /api/users/7", root_path="/api") is PUBLIC
    assert access(table, "GET /apix/users/7", root_path="/api") is GUARDED


def test_the_operators_paths_are_open_beside_the_marked_routes() -> None:
    """``public=`` and the marks add up."""
    table = Routes(rule(PUBLIC, "GET /users/{id}")).table().beside(PathRules(["/docs"], ["/news"]))
    assert access(table, "GET /docs") is PUBLIC
    assert access(table, "GET /news") is OPTIONAL
    assert access(table, "GET /users/7") is PUBLIC
    assert access(table, "GET /me") is GUARDED


def test_a_fault_of_a_mark_is_an_error_at_construction_and_at_the_start() -> None:
    """Every fault is named."""
    routes = Routes()
    routes.faults = ["GET /a is marked twice", "GET /b too"]
    with pytest.raises(ConfigurationError) as caught:
        routes.table()
    assert list(caught.value.faults) == routes.faults


async def test_routes_that_are_added_before_the_server_starts_count() -> None:
    """The order of declarations and middleware does not matter; faults keep it from starting."""
    routes = Routes()
    table = routes.table()
    routes.rules.append(rule(PUBLIC, "GET /users/{id}"))
    await table.start()
    assert access(table, "GET /users/7") is PUBLIC
    table = routes.table()
    routes.faults = ["GET /a is marked twice"]
    with pytest.raises(ConfigurationError):
        await table.start()


async def test_a_route_that_is_marked_too_late_stays_guarded_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has it once, at the first request without a token."""
    routes = Routes(rule(PUBLIC, "GET /a"))
    guard = JWTMiddleware(App(), Verifier.trusting(SIGNER), marked=routes.table())
    assert (await call(guard, http("/a"))).status == 200
    routes.rules.append(rule(PUBLIC, "GET /late/{id}"))
    with caplog.at_level(logging.ERROR, "linqi"):
        assert (await call(guard, http("/late/7"))).status == 401
        assert (await call(guard, http("/late/7"))).status == 401
    assert [r.message for r in caplog.records if "GET /late/{id}" in r.message] == [
        "GET /late/{id} is marked public, but was added after the first request: it is guarded;"
        " add routes before the application serves"
    ]


def test_a_guarded_route_that_is_added_before_a_public_one_takes_its_path() -> None:
    """A late route never makes an opened one hide it."""
    routes = Routes(rule(PUBLIC, "GET /users/{id}"))
    table = routes.table()
    assert access(table, "GET /users/me") is PUBLIC
    routes.rules.insert(0, rule(GUARDED, "GET /users/me"))
    assert access(table, "GET /users/me") is GUARDED
    assert access(table, "GET /users/7") is PUBLIC


def test_an_earlier_route_of_one_method_hides_a_public_one_of_all_methods() -> None:
    """The public one serves the other methods."""
    table = Routes(rule(GUARDED, "GET /a"), rule(PUBLIC, "* /a")).table()
    assert access(table, "GET /a") is GUARDED
    assert access(table, "POST /a") is PUBLIC


def test_a_client_that_calls_its_method_websocket_opens_no_socket_route() -> None:
    """Any token is a method (RFC 9110, section 9.1); a mount of the same path would answer."""
    table = Routes(rule(PUBLIC, "WEBSOCKET /a")).table()
    assert table.access(http("/a", method="WEBSOCKET")) is GUARDED
    assert table.access({**http("/a"), "type": "websocket"}) is PUBLIC


@pytest.mark.parametrize("path", ["/apiadmin", "/open/api/admin"])
def test_a_path_with_its_root_path_elsewhere_is_guarded(path: str) -> None:
    """Litestar and Quart take the root path off wherever it is."""
    table = Routes(rule(PUBLIC, "GET /{id}"), rule(PUBLIC, "GET /open/{p:path}")).table()
    assert table.access(http(path)) is PUBLIC
    assert table.access(http(path, root_path="/api")) is GUARDED
    paths = PathRules(public=["/apiadmin", "/open/*"])
    assert paths.access(http(path)) is PUBLIC
    assert paths.access(http(path, root_path="/api")) is GUARDED
    assert paths.access(http(f"/api{path}", root_path="/api")) is PUBLIC


def test_an_unknown_kind_of_parameter_is_named() -> None:
    """A template is not guessed."""
    with pytest.raises(ConfigurationError, match="kind 'hex'"):
        pattern_of("/items/{id:hex}")


TEMPLATES = st.sampled_from(
    ["/a", "/a/b", "/{x}", "/a/{x}", "/{x}/b", "/{x:int}", "/a/{x:path}", "/{x:path}", "/a.b"]
)
RULES = st.lists(
    st.builds(
        lambda access, method, template: rule(access, f"{method} {template}"),
        st.sampled_from([PUBLIC, OPTIONAL, GUARDED]),
        st.sampled_from(["GET", "POST", "*", "MOUNT"]),
        TEMPLATES,
    ),
    max_size=8,
)


@given(
    rules=RULES,
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.sampled_from(["/a", "/b", "/7", "/a/b", "/a/c/d", "/axb", "/a.b", "/a/"]),
)
def test_the_table_agrees_with_trying_one_route_after_the_other(
    rules: list[RouteRule], method: str, path: str
) -> None:
    """Few regular expressions decide as the framework's loop does."""
    fitting = [
        each.access
        for each in rules
        if (each.methods is None or {method, "*"} & each.methods)
        and re.fullmatch(each.pattern, path)
    ]
    expected = fitting[0] if fitting else GUARDED
    assert access(Routes(*rules).table(), f"{method} {path}") is expected
