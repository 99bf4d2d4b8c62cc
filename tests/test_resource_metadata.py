"""Metadata of a protected resource, and challenges that refer to it (H9; RFC 9728)."""

import json
from typing import Any

import msgspec
import pytest

from asgi import Answer, App, call, http
from linqi import (
    ConfigurationError,
    JWTMiddleware,
    Key,
    MemoryStore,
    RefusalFormat,
    RequireClaims,
    RequireLogin,
    RequireScopes,
    ResourceMetadata,
    SessionRoutes,
    Sessions,
    Signer,
    Verifier,
    metadata_route,
    missing_scopes,
)
from linqi.asgi.caller import refusal_of
from tokens import AUDIENCE, ISSUER, NOW, good_claims, make, verifier_of


class Role(msgspec.Struct):
    """Claims that an application needs."""

    role: str


KEY = Key.generate("HS256")
NOTES = ResourceMetadata(
    "https://notes.example/mcp",
    ["https://id.example"],
    scopes_supported=["notes:read", "notes:write"],
    challenge_scopes=["notes:read"],
    resource_name="Notes",
)
URL = "https://notes.example/.well-known/oauth-protected-resource/mcp"
PATH = "/.well-known/oauth-protected-resource/mcp"
READ = ', scope="notes:read"'


def guarded(app: Any, metadata: Any = NOTES, **options: Any) -> JWTMiddleware:
    """Return `app` inside the middleware."""
    verifier = verifier_of(KEY, clock=lambda: NOW)
    return JWTMiddleware(app, verifier, resource_metadata=metadata, hooks=[], **options)


def with_token(**claims: Any) -> dict[str, Any]:
    """Return a scope with a valid token of these claims."""
    return http(token=make(KEY, good_claims(**claims)))


async def framework(scope: Any, receive: Any, send: Any) -> None:
    """Refuse as the integrations of frameworks do."""
    refusal = refusal_of(scope, "admin") or missing_scopes(scope, "admin")
    assert refusal is not None
    await send(
        {"type": "http.response.start", "status": refusal.status, "headers": [*refusal.headers]}
    )
    await send({"type": "http.response.body", "body": refusal.body})


@pytest.mark.parametrize(
    ("app", "scope", "status", "challenge"),
    [
        (App(), http(), 401, f'Bearer realm="api"{READ}'),
        (
            App(),
            http(token="a.b.c"),
            401,
            'Bearer realm="api", error="invalid_token",'
            f' error_description="The access token is malformed"{READ}',
        ),
        (
            RequireScopes(App(), "admin"),
            with_token(scope="read"),
            403,
            'Bearer realm="api", error="insufficient_scope", scope="admin"',
        ),
        (
            RequireLogin(App(), acr_values=["gold"]),
            with_token(),
            401,
            'Bearer realm="api", error="insufficient_user_authentication",'
            f' acr_values="gold"{READ}',
        ),
        (
            RequireClaims(App(), Role),
            with_token(),
            401,
            'Bearer realm="api", error="invalid_token",'
            f' error_description="The access token is invalid"{READ}',
        ),
        (
            framework,
            with_token(scope="read"),
            403,
            'Bearer realm="api", error="insufficient_scope", scope="admin"',
        ),
        (
            App(),
            http(token="two,tokens"),
            400,
            'Bearer realm="api", error="invalid_request",'
            ' error_description="The credentials are not presented as RFC 6750 asks"',
        ),
    ],
    ids=["none", "invalid", "scopes", "login", "claims", "framework", "malformed"],
)
@pytest.mark.parametrize("style", [None, RefusalFormat("problem")], ids=["plain", "problem"])
async def test_every_challenge_names_the_metadata(
    app: Any, scope: dict[str, Any], status: int, challenge: str, style: RefusalFormat | None
) -> None:
    """Of the middleware, of guards and of frameworks inside; a 401 asks for the needed scopes."""
    answer = await call(guarded(app, refusal=style), scope)
    assert answer.status == status
    assert answer.header("www-authenticate") == f'{challenge}, resource_metadata="{URL}"'
    kind = answer.header("content-type")
    assert kind == ("application/json" if style is None else "application/problem+json")


async def test_a_refused_socket_names_the_metadata() -> None:
    """Where the server can send a response to the handshake."""
    scope = http() | {
        "type": "websocket",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    answer = Answer()
    await guarded(App())(scope, None, answer.send)  # type: ignore[arg-type]
    (start,) = [m for m in answer.messages if m["type"] == "websocket.http.response.start"]
    assert URL in dict(start["headers"])[b"www-authenticate"].decode()


async def test_a_session_route_names_the_metadata() -> None:
    """Its own refusal of a request without a token, in every mode of the middleware around."""
    signer = Signer(KEY, issuer=ISSUER, audience=AUDIENCE)
    verifier = Verifier.trusting(signer, hooks=(), clock=lambda: NOW)
    sessions = Sessions(MemoryStore(), signer, Key.generate("HS256"), hooks=())
    routes = SessionRoutes(App(), sessions, verifier, lambda form: None, throttle=None)
    app = JWTMiddleware(routes, verifier, optional=["/*"], resource_metadata=NOTES, hooks=[])
    answer = await call(app, http("/sessions"))
    assert answer.status == 401
    assert answer.header("www-authenticate") == (
        f'Bearer realm="api"{READ}, resource_metadata="{URL}"'
    )


async def test_a_document_elsewhere_is_named_by_its_url() -> None:
    """Nothing is served then, and a path of that name is guarded like any other."""
    app = guarded(App(), URL)
    answer = await call(app, http(PATH))
    assert answer.status == 401
    assert answer.header("www-authenticate") == f'Bearer realm="api", resource_metadata="{URL}"'


async def test_without_metadata_nothing_is_added() -> None:
    """A feature that is off is not to be seen, in the scope either."""
    app = App()
    plain = guarded(app, None)
    assert (await call(plain, http())).header("www-authenticate") == 'Bearer realm="api"'
    await call(plain, with_token())
    assert "linqi.refusals" not in app.scopes[0]


async def test_the_document_is_public_for_scripts_of_any_origin() -> None:
    """A client begins with it, so it has no token yet; it names no other way than the header."""
    app = App()
    answer = await call(guarded(app), http(PATH, headers=[(b"host", b"evil.example")]))
    assert answer.status == 200
    assert json.loads(answer.messages[-1]["body"]) == {
        "resource": "https://notes.example/mcp",
        "authorization_servers": ["https://id.example"],
        "scopes_supported": ["notes:read", "notes:write"],
        "resource_name": "Notes",
        "bearer_methods_supported": ["header"],
    }
    assert answer.header("content-type") == "application/json"
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("cache-control") == "public, max-age=3600"
    assert app.scopes == []


@pytest.mark.parametrize(
    ("scope", "status", "header"),
    [
        (http(PATH, method="HEAD"), 200, ("content-length", "197")),
        (http(PATH, method="OPTIONS"), 204, ("allow", "GET, HEAD, OPTIONS")),
        (
            http(
                PATH,
                method="OPTIONS",
                headers=[
                    (b"origin", b"https://inspector.example"),
                    (b"access-control-request-method", b"GET"),
                    (b"access-control-request-headers", b"mcp-protocol-version"),
                ],
            ),
            204,
            ("access-control-allow-headers", "*"),
        ),
        (http(PATH, method="POST"), 405, ("allow", "GET, HEAD, OPTIONS")),
        (http(f"{PATH}/"), 401, ("cache-control", "no-store")),
        (http(f"{PATH}/x"), 401, ("cache-control", "no-store")),
        (http(f"/x{PATH}"), 401, ("cache-control", "no-store")),
        (http("/x" + PATH, root_path="/x"), 200, ("cache-control", "public, max-age=3600")),
    ],
)
async def test_only_the_documents_own_path_is_open(
    scope: dict[str, Any], status: int, header: tuple[str, str]
) -> None:
    """By methods that read; a server that puts ``root_path`` before the path changes nothing."""
    answer = await call(guarded(App()), scope)
    assert answer.status == status
    assert answer.header(header[0]) == header[1]
    if scope["method"] == "HEAD":
        assert answer.messages[-1]["body"] == b""


async def test_paths_beside_the_document_are_the_applications() -> None:
    """Other documents below ``/.well-known`` are served by the application."""
    app = App()
    for path in (f"{PATH}/x", PATH[:-1], "/.well-known/security.txt"):
        assert (await call(guarded(app, public=["/.well-known/*"]), http(path))).status == 200
    assert len(app.scopes) == 3


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://api.example", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/", "https://api.example/.well-known/oauth-protected-resource"),
        ("https://api.example/a/", "https://api.example/.well-known/oauth-protected-resource/a/"),
        (
            "http://[::1]:8000",
            "http://[::1]:8000/.well-known/oauth-protected-resource",
        ),
    ],
)
def test_the_path_of_the_resource_stands_after_the_well_known_one(resource: str, url: str) -> None:
    """A slash that ends the host is left out (RFC 9728, section 3.1)."""
    assert ResourceMetadata(resource, ["https://id.example"]).url == url


@pytest.mark.parametrize(
    "resource",
    [
        "http://api.example",
        "https://API.example",
        "HTTPS://api.example",
        "https://api.example:443",
        "https://api.example/?tenant=a",
        "https://api.example?",
        "https://api.example#x",
        "https://user@api.example",
        'https://api.example/", error="x',
        "https://api.example/a\r\nSet-Cookie: x",
        "https://api.example/a//b",
        "https://api.example/../b",
        "https://api.example/%61",
        "https://api.example/é",
        "/mcp",
        "",
        None,
    ],
)
def test_a_resource_has_one_spelling(resource: Any) -> None:
    """Two spellings would be two audiences; a quote would forge parameters of a challenge."""
    with pytest.raises(ConfigurationError, match="resource "):
        ResourceMetadata(resource, ["https://id.example"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"authorization_servers": []}, "authorization_servers"),
        ({"authorization_servers": "https://id.example"}, "authorization_servers"),
        ({"authorization_servers": ["http://id.example"]}, "authorization_servers"),
        ({"scopes_supported": ['a"b']}, "scopes_supported"),
        ({"challenge_scopes": "a b"}, "challenge_scopes"),
        ({"challenge_scopes": ["a b"]}, "challenge_scopes"),
        ({"resource_name": "a\nb"}, "resource_name"),
        ({"resource_documentation": "docs"}, "resource_documentation"),
        ({"resource_tos_uri": "javascript:x"}, "resource_tos_uri"),
    ],
)
def test_malformed_metadata_is_refused(change: dict[str, Any], fault: str) -> None:
    """Each fault names its argument."""
    given = {"resource": "https://api.example", "authorization_servers": ["https://id.example"]}
    with pytest.raises(ConfigurationError, match=fault):
        ResourceMetadata(**(given | change))


@pytest.mark.parametrize(
    "url", ['https://a.example/"', "http://a.example/x", "https://a.example/\n", "x", 1, {}]
)
def test_a_url_that_would_break_the_challenge_is_refused(url: Any) -> None:
    """Header injection, and metadata that anybody on the way could change (RFC 9728, 7.1)."""
    with pytest.raises(ConfigurationError, match="resource_metadata"):
        guarded(App(), url)


async def test_a_mounted_resource_has_its_document_served_at_the_root() -> None:
    """Only the program at the root of the origin gets that path; a socket gets nothing."""
    route = metadata_route(NOTES)
    assert (await call(route, http(PATH))).status == 200
    answer = Answer()
    await route(http() | {"type": "websocket"}, None, answer.send)  # type: ignore[arg-type]
    assert answer.messages == [{"type": "websocket.close", "code": 1008, "reason": ""}]
