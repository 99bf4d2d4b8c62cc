"""MCP servers as protected resources (H9, H10; MCP specification, authorization)."""

import asyncio
import functools
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from fastmcp import Client as FastMCPClient
from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider, TokenVerificationError, require_scopes
from fastmcp.server.dependencies import get_access_token as fastmcp_access_token
from fastmcp.server.event_store import EventStore
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi import App, call, http
from clock import FakeClock
from linqi import (
    ANY_AUDIENCE,
    Bridge,
    ConfigurationError,
    Introspection,
    JWTMiddleware,
    Key,
    KeySet,
    OpaqueIssuer,
    RemoteKeys,
    ResourceMetadata,
    TrustedIssuer,
    Verifier,
)
from linqi.errors import Unavailable
from linqi.mcp import (
    FastMCPTokenVerifier,
    MissingScope,
    TokenVerifier,
    ToolScopes,
    current,
    protect,
)
from mcp_peers import Bearer, connected, rpc, serving
from tokens import ISSUER, NOW, good_claims, make

KEY = Key.generate("ES256")
RESOURCE = "https://notes.example/mcp"
METADATA = "https://notes.example/.well-known/oauth-protected-resource/mcp"


def token_for(resource: str, **claims: Any) -> str:
    """Return a token of alice for `resource`."""
    return make(KEY, good_claims(aud=resource, client_id="app", **claims))


def verifier(audience: Any = RESOURCE, clock: Callable[[], float] = lambda: NOW) -> Verifier:
    """Return a verifier of one issuer."""
    trusted = TrustedIssuer(
        issuer=ISSUER, audience=audience, keys=KeySet([KEY]), algorithms=["ES256"]
    )
    return Verifier(trusted, clock=clock)


def notes(tools: ToolScopes | None = None) -> MCPServer:
    """Return a server with three tools, one of which needs ``notes:write``."""
    server, scopes = MCPServer("notes"), tools or ToolScopes()

    @server.tool()
    def who() -> str:
        known = get_access_token()
        assert known is not None
        assert known.subject == current().subject
        return f"{known.client_id} {current().subject} {' '.join(current().scopes)}"

    @server.tool()
    @scopes.requires("notes:write")
    async def add_note(text: str) -> str:
        return f"{current().subject} wrote {text}"

    @server.tool(name="renamed")
    @scopes.requires("notes:write")
    def erase() -> str:
        return "erased"

    return server


def protected(url: str, tools: ToolScopes | None = None, **options: Any) -> JWTMiddleware:
    """Return the server of `notes` inside the middleware, for any server on loopback."""
    clock = options.pop("clock", lambda: NOW)
    scopes = tools or ToolScopes()
    app = notes(scopes).streamable_http_app()
    metadata = ResourceMetadata(url, [ISSUER], scopes_supported=["notes:read"])
    given = {"resource": metadata, "tools": scopes, "hooks": [], "clock": clock} | options
    return protect(app, verifier(url, clock), **given)


def text_of(result: Any) -> str:
    """Return the text of a tool's result."""
    return str(result.content[0].text)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_tool_knows_its_caller(mode: str) -> None:
    """By the SDK's function and by linqi's, with and without sessions of the protocol."""
    async with serving(protected) as url:
        auth = Bearer(token_for(url, scope="notes:read"))
        async with connected(url, auth, mode) as client:
            assert text_of(await client.call_tool("who", {})) == "app alice notes:read"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_tool_knows_the_token_of_its_own_request(mode: str) -> None:
    """A session lives longer than a token: what counts is not the token that began it."""
    async with serving(protected) as url:
        auth = Bearer(token_for(url, scope="notes:read"))
        async with connected(url, auth, mode) as client:
            assert text_of(await client.call_tool("who", {})).endswith(" notes:read")
            auth.token = token_for(url, scope="notes:read notes:write", jti="token-2")
            assert text_of(await client.call_tool("who", {})).endswith(" notes:read notes:write")
            assert text_of(await client.call_tool("add_note", {"text": "x"})) == "alice wrote x"


REFUSED = {
    "another resource": {"aud": "https://calendar.example/mcp"},
    "a resource below": {"aud": f"{RESOURCE}/admin"},
    "the origin alone": {"aud": "https://notes.example"},
    "another spelling": {"aud": f"{RESOURCE}/"},
    "no audience": {"aud": ...},
    "another issuer": {"iss": "https://evil.example"},
    "expired": {"exp": int(NOW)},
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_token_for_another_resource_is_refused(case: str) -> None:
    """A server that got a token of its users cannot use it here (confused deputy)."""
    token = make(KEY, good_claims(**({"aud": RESOURCE} | REFUSED[case])))
    answer = await call(protected(RESOURCE), http("/mcp", token=token))
    assert answer.status == 401
    challenge = answer.header("www-authenticate")
    assert 'error="invalid_token"' in challenge
    assert challenge.endswith(f', scope="notes:read", resource_metadata="{METADATA}"')


async def test_a_token_of_the_query_is_not_read() -> None:
    """It would stand in logs and histories; the answer is that to a request without one."""
    query = f"access_token={token_for(RESOURCE)}".encode()
    answer = await call(protected(RESOURCE), http("/mcp", query_string=query))
    assert answer.status == 401
    assert "error=" not in answer.header("www-authenticate")


@pytest.mark.parametrize(
    "audience",
    [ANY_AUDIENCE, "https://calendar.example", [RESOURCE, "api"], f"{RESOURCE}/", [RESOURCE[:-1]]],
)
def test_an_issuer_that_is_trusted_with_more_is_refused(audience: Any) -> None:
    """The fault is found when the server starts, by each of the three ways (RFC 8707)."""
    trusting = verifier(audience)
    for way in (
        lambda: protect(App(), trusting, resource=RESOURCE),
        lambda: TokenVerifier(trusting, RESOURCE),
        lambda: FastMCPTokenVerifier(trusting, RESOURCE),
    ):
        with pytest.raises(ConfigurationError, match=f"{ISSUER} is trusted for the audience"):
            way()


@pytest.mark.parametrize("audience", [None, "api"])
def test_a_bridge_from_another_system_is_refused(audience: str | None) -> None:
    """Its tokens have no audience, or that of the system they come from."""
    own = TrustedIssuer(
        issuer=ISSUER, audience=RESOURCE, keys=KeySet([KEY]), algorithms=["ES256"], own=True
    )
    old = Key.generate("HS256")
    bridge = Bridge(key=old, until=NOW + 3600, lifetime=3600, audience=audience)
    with pytest.raises(ConfigurationError, match="the bridge is trusted for the audience"):
        TokenVerifier(Verifier(own, bridge=bridge, clock=lambda: NOW), RESOURCE)


@pytest.mark.parametrize("audience", ["https://calendar.example", ANY_AUDIENCE])
def test_an_issuer_of_opaque_tokens_is_held_to_the_resource(audience: Any) -> None:
    """It says itself for whom a token is, so its answers are checked as tokens are."""
    source = Introspection(ISSUER, url=f"{ISSUER}/introspect", client_id="a", client_secret="b")
    with pytest.raises(ConfigurationError, match=f"{ISSUER} is trusted for the audience"):
        protect(
            App(),
            Verifier(OpaqueIssuer(issuer=ISSUER, audience=audience, source=source)),
            resource=RESOURCE,
        )
    opaque = OpaqueIssuer(issuer=ISSUER, audience=RESOURCE, source=source)
    app = protect(App(), Verifier(opaque), resource=RESOURCE, hooks=[])
    document = asyncio.run(call(app, http(METADATA.removeprefix("https://notes.example"))))
    assert json.loads(document.messages[-1]["body"])["authorization_servers"] == [ISSUER]


def test_a_resource_without_a_path_has_two_spellings() -> None:
    """They are one URL (RFC 3986, section 6.2.3), so an issuer may use either."""
    both = ["https://notes.example", "https://notes.example/"]
    for resource in both:
        protect(App(), verifier(both), resource=resource, hooks=[])


@pytest.mark.parametrize(
    ("trust", "options", "fault"),
    [
        (verifier(), {}, "canonical URL"),
        ("linqi.toml", {"resource": RESOURCE}, "set url in"),
        (verifier(), {"resource": "http://notes.example"}, "expected a plain https URL"),
    ],
)
def test_a_server_needs_its_url(trust: Any, options: dict[str, Any], fault: str) -> None:
    """It is never taken from a request."""
    with pytest.raises(ConfigurationError, match=fault):
        protect(App(), trust, **options)


def test_a_file_describes_a_server(tmp_path: Any) -> None:
    """With the table of the resource; its issuers are where clients are sent."""
    (tmp_path / "keys.json").write_text(json.dumps(KeySet([KEY]).public_jwks()))
    text = (
        f'[resource]\nurl = "{RESOURCE}"\n[[issuers]]\nissuer = "{ISSUER}"\n'
        f'audience = ["{RESOURCE}"]\nalgorithms = ["ES256"]\nkeys_file = "keys.json"\n'
    )
    path = tmp_path / "linqi.toml"
    path.write_text(text)
    app = protect(App(), path, hooks=[])
    answer = asyncio.run(call(app, http(METADATA.removeprefix("https://notes.example"))))
    document = json.loads(answer.messages[-1]["body"])
    assert document["authorization_servers"] == [ISSUER]
    path.write_text(text.replace("[resource]\nurl", "[store]\n#"))
    with pytest.raises(ConfigurationError, match="canonical URL"):
        protect(App(), path)


async def test_a_server_below_a_path_has_its_document_at_the_root() -> None:
    """With `protect` around the application that it is mounted in (RFC 9728, section 3.1)."""

    def built(origin: str) -> JWTMiddleware:
        url, inner = f"{origin}/api/mcp", notes().streamable_http_app()
        outer = Starlette(
            routes=[Mount("/api", app=inner)],
            lifespan=lambda _: inner.router.lifespan_context(inner),
        )
        return protect(outer, verifier(url), resource=url, hooks=[], clock=lambda: NOW)

    async with serving(lambda url: built(url.removesuffix("/mcp"))) as endpoint:
        origin = endpoint.removesuffix("/mcp")
        url, document = f"{origin}/api/mcp", "/.well-known/oauth-protected-resource/api/mcp"
        async with httpx2.AsyncClient(base_url=origin) as client:
            refused = await client.post("/api/mcp")
            assert f'resource_metadata="{origin}{document}"' in refused.headers["www-authenticate"]
            assert (await client.get(document)).json()["resource"] == url
        async with connected(url, Bearer(token_for(url, scope="a"))) as known:
            assert text_of(await known.call_tool("who", {})) == "app alice a"


# Steps up by scope


async def test_a_missing_scope_is_403_before_the_tool_runs() -> None:
    """The official client reads scope and metadata from it, and asks for the scope."""
    async with serving(protected) as url, httpx2.AsyncClient() as client:
        headers = {"authorization": f"Bearer {token_for(url, scope='notes:read')}"}
        call_it = rpc("tools/call", {"name": "add_note", "arguments": {"text": "x"}})
        answer = await client.post(url, json=call_it, headers=headers)
        origin = url.removesuffix("/mcp")
        assert answer.status_code == 403
        assert answer.headers["www-authenticate"] == (
            'Bearer realm="api", error="insufficient_scope", scope="notes:write",'
            f' resource_metadata="{origin}/.well-known/oauth-protected-resource/mcp"'
        )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (rpc("tools/call", {"name": "add_note"}), 403),
        ([rpc("ping", {}), rpc("tools/call", {"name": "add_note"})], 403),
        (rpc("tools/call", {"name": "who"}), 200),
        (rpc("prompts/get", {"name": "add_note"}), 200),
        (rpc("tools/call", {}), 200),
        (rpc("tools/call", {"name": 7}), 200),
        (b"not JSON", 200),
        (b"[" * 100_000, 200),
        (b"", 200),
        (json.dumps(rpc("tools/call", {"name": "add_note"})).encode("utf-16"), 200),
        (json.dumps(rpc("tools/call", {"name": "add_note", "x": "y" * 1_100_000})).encode(), 200),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_read_here_goes_on_whole(body: Any, status: int) -> None:
    """The answer is only a signal: the server gets the message as it came, and tools check."""
    seen = bytearray()

    async def server(scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            seen.extend(message.get("body", b""))
            if not message.get("more_body", False):
                break
        assert (await receive())["type"] == "http.disconnect"
        await App()(scope, receive, send)

    tools = ToolScopes()
    notes(tools)
    app = protect(server, verifier(), resource=RESOURCE, tools=tools, hooks=[], clock=lambda: NOW)
    whole = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts = [whole[at : at + 50_000] for at in range(0, len(whole), 50_000)] or [b""]
    messages = [
        {"type": "http.request", "body": part, "more_body": at < len(parts) - 1}
        for at, part in enumerate(parts)
    ] + [{"type": "http.disconnect"}]
    answers: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    token = token_for(RESOURCE, scope="notes:read")
    await app(http("/mcp", token=token, method="POST"), receive, send)
    assert answers[0]["status"] == status
    assert bytes(seen) == (whole if status == 200 else b"")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_tool_checks_its_scopes_itself(mode: str) -> None:
    """A tool of another name is not known before the call, and does not run either."""
    async with serving(protected) as url:
        auth = Bearer(token_for(url, scope="notes:read"))
        async with connected(url, auth, mode) as client:
            result = await client.call_tool("renamed", {})
            assert result.is_error
            auth.token = token_for(url, scope="notes:write")
            assert text_of(await client.call_tool("renamed", {})) == "erased"


async def test_a_function_without_a_caller_is_not_called() -> None:
    """Where no request is served, nothing is known of scopes; signatures stay as they were."""
    tools = ToolScopes()

    @tools.requires("a", "b")
    def plain(x: int) -> int:
        return x

    @tools.requires("b", "c")
    async def slow() -> None: ...

    with pytest.raises(MissingScope, match="a b"):
        plain(1)
    with pytest.raises(MissingScope, match="b c"):
        await slow()
    assert plain.__name__ == "plain"
    assert tools.needed_by(["plain", "slow", "other"]) == ("a", "b", "c")
    with pytest.raises(ConfigurationError, match="two tools are called 'plain'"):
        tools.requires("c")(plain)
    with pytest.raises(ConfigurationError, match="requires needs scope names"):
        tools.requires()
    with pytest.raises(ConfigurationError, match=r"linqi\.mcp\.protect"):
        current()


# Sessions and streams


async def begun(client: httpx2.AsyncClient, url: str, token: str) -> dict[str, str]:
    """Begin a session of the protocol; return the headers of its requests."""
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
    }
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    answer = await client.post(url, json=rpc("initialize", params), headers=headers)
    assert answer.status_code == 200, answer.text
    headers["mcp-session-id"] = answer.headers["mcp-session-id"]
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await client.post(url, json=done, headers=headers)).status_code == 202
    return headers


def fast_notes(url: str, clock: Any = lambda: NOW, **options: Any) -> JWTMiddleware:
    """Return a FastMCP server inside the middleware."""
    server = FastMCP("notes")

    @server.tool
    def who() -> str:
        known = fastmcp_access_token()
        assert known is not None
        return f"{known.client_id} {known.claims['sub']} {' '.join(current().scopes)}"

    @server.tool(auth=require_scopes("notes:write"))
    def add_note(text: str) -> str:
        return text

    app = server.http_app()
    given = {"resource": url, "hooks": [], "clock": clock} | options
    return protect(app, verifier(url, clock), **given)


@pytest.mark.parametrize("build", [protected, fast_notes])
async def test_the_session_of_one_user_is_of_no_use_to_another(build: Any) -> None:
    """Nor to another client of the same user; a new token of both continues it (H10)."""
    async with serving(build) as url, httpx2.AsyncClient() as client:
        headers = await begun(client, url, token_for(url))
        ping = rpc("ping", {})
        for claims, status in (
            ({"sub": "mallory"}, 404),
            ({"client_id": "other"}, 404),
            ({"jti": "token-2"}, 200),
        ):
            token = make(KEY, good_claims(aud=url, **({"client_id": "app"} | claims)))
            changed = headers | {"authorization": f"Bearer {token}"}
            assert (await client.post(url, json=ping, headers=changed)).status_code == status


async def test_a_token_that_names_no_one_has_its_session_alone() -> None:
    """Two tokens without ``sub`` and client are two callers, not one that has no name (H10)."""
    async with serving(protected) as url, httpx2.AsyncClient() as client:
        first, second = (
            make(KEY, good_claims(aud=url, sub=..., client_id=..., jti=name)) for name in "ab"
        )
        headers = await begun(client, url, first)
        for token, status in ((second, 404), (first, 200)):
            changed = headers | {"authorization": f"Bearer {token}"}
            answer = await client.post(url, json=rpc("ping", {}), headers=changed)
            assert answer.status_code == status


@pytest.mark.parametrize("build", [protected, fast_notes])
async def test_a_stream_ends_with_its_token(build: Any) -> None:
    """The session stays: a client opens another stream with its next token."""
    clock = FakeClock(NOW)
    options = {"clock": clock, "check_seconds": 0.05, "stream_grace_seconds": 0}

    built = functools.partial(build, **options)
    async with serving(built) as url, httpx2.AsyncClient(timeout=5) as client:
        headers = await begun(client, url, token_for(url))
        async with client.stream("GET", url, headers=headers) as stream:
            assert stream.status_code == 200
            assert stream.headers["content-type"].startswith("text/event-stream")
            clock.move(601)
            async for _ in stream.aiter_bytes():
                pass
        assert (await client.get(url, headers=headers)).status_code == 401
        later = token_for(url, exp=int(NOW) + 1200, jti="token-2")
        headers["authorization"] = f"Bearer {later}"
        async with client.stream("GET", url, headers=headers) as stream:
            assert stream.status_code == 200


async def events_of(stream: httpx2.Response) -> list[dict[str, str]]:
    """Return the events of a stream until it ends, or until one has a result."""
    events: list[dict[str, str]] = [{}]
    async for line in stream.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            events[-1][name] = value
        elif events[-1]:
            if '"result"' in events[-1].get("data", ""):
                return events
            events.append({})
    return events


async def test_a_call_outlives_the_stream_of_its_token() -> None:
    """With an event store its answer comes to the next token; another user's token gets none."""
    clock, released = FakeClock(NOW), asyncio.Event()
    server = FastMCP("notes")

    @server.tool
    async def slow() -> str:
        await released.wait()
        return "done"

    def built(url: str) -> JWTMiddleware:
        app = server.http_app(event_store=EventStore())
        options = {"clock": clock, "check_seconds": 0.05, "stream_grace_seconds": 0}
        return protect(app, verifier(url, clock), resource=url, hooks=[], **options)

    async with serving(built) as url, httpx2.AsyncClient(timeout=5) as client:
        headers = await begun(client, url, token_for(url))
        body = rpc("tools/call", {"name": "slow", "arguments": {}})
        async with client.stream("POST", url, json=body, headers=headers) as stream:
            clock.move(601)
            begin, *_ = await events_of(stream)
        released.set()
        later = {"exp": int(NOW) + 1200, "jti": "token-2"}
        for subject, status in (("mallory", 404), ("alice", 200)):
            headers["authorization"] = f"Bearer {token_for(url, sub=subject, **later)}"
            headers["last-event-id"] = begin["id"]
            async with client.stream("GET", url, headers=headers) as stream:
                assert stream.status_code == status
                if status == 200:
                    answer = json.loads((await events_of(stream))[-1]["data"])
        assert answer["result"]["content"][0]["text"] == "done"


# Servers whose SDK does the authentication


def own_auth(url: str) -> Any:
    """Return a server of the official SDK with authentication of its own."""
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(ISSUER),
        resource_server_url=AnyHttpUrl(url),
        validate_token_resource=True,
        required_scopes=["notes:read"],
    )
    tokens = TokenVerifier(verifier(url), url, hooks=[])
    server = MCPServer("notes", auth=settings, token_verifier=tokens)

    @server.tool()
    def who() -> str:
        known = get_access_token()
        assert known is not None
        return f"{known.client_id} {known.subject}"

    return server.streamable_http_app()


def fast_auth(url: str) -> Any:
    """Return a FastMCP server with authentication of its own."""
    tokens = FastMCPTokenVerifier(verifier(url), url, required_scopes=["notes:read"], hooks=[])
    auth = RemoteAuthProvider(tokens, [AnyHttpUrl(ISSUER)], url.removesuffix("/mcp"))
    server = FastMCP("notes", auth=auth)

    @server.tool
    def who() -> str:
        known = fastmcp_access_token()
        assert known is not None
        return f"{known.client_id} {known.claims['sub']}"

    return server.http_app()


@pytest.mark.parametrize("build", [own_auth, fast_auth])
async def test_a_server_with_authentication_of_its_own_takes_the_verifier(build: Any) -> None:
    """Its SDK makes the challenges, and checks expiry by a clock of its own too."""
    later = {"scope": "notes:read", "exp": int(NOW) + 10**9}
    async with serving(build) as url:
        async with connected(url, Bearer(token_for(url, **later))) as client:
            assert text_of(await client.call_tool("who", {})) == "app alice"
        async with FastMCPClient(url, auth=token_for(url, **later)) as fast:
            assert text_of(await fast.call_tool("who", {})) == "app alice"
        async with httpx2.AsyncClient() as client:
            for token, status in (
                (token_for("https://calendar.example/mcp", **later), 401),
                (token_for(url, **(later | {"scope": "other"})), 403),
                ("not a token", 401),
                ("é", 401),
            ):
                headers = {"authorization": f"Bearer {token}".encode()}
                answer = await client.post(url, json=rpc("ping", {}), headers=headers)
                assert answer.status_code == status
                assert "resource_metadata=" in answer.headers["www-authenticate"]


async def test_an_issuer_that_is_down_is_no_refusal() -> None:
    """A client must not sign in again because keys cannot be fetched."""

    async def down(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("down")

    client = httpx2.AsyncClient(transport=httpx2.MockTransport(down))
    keys = RemoteKeys(ISSUER, ["ES256"], client=client)
    trusting = Verifier(keys.trust(RESOURCE), clock=lambda: NOW)
    with pytest.raises(Unavailable):
        await TokenVerifier(trusting, RESOURCE, hooks=[]).verify_token(token_for(RESOURCE))
    with pytest.raises(TokenVerificationError):
        await FastMCPTokenVerifier(trusting, RESOURCE, hooks=[]).verify_token(token_for(RESOURCE))
    await keys.close()


@pytest.mark.parametrize(
    ("claims", "client"),
    [
        ({"client_id": "a", "azp": "b"}, "a"),
        ({"client_id": ..., "azp": "b"}, "b"),
        ({"client_id": 7, "azp": ["b"], "cid": "c"}, "c"),
        ({"client_id": ...}, "alice"),
    ],
)
async def test_what_the_sdk_knows_of_a_token(claims: dict[str, Any], client: str) -> None:
    """The client is named by RFC 9068, OpenID Connect or Okta; without it the subject stands."""
    token = make(KEY, good_claims(**({"aud": RESOURCE} | claims)))
    known = await TokenVerifier(verifier(), RESOURCE, hooks=[]).verify_token(token)
    assert known is not None
    assert known.model_dump(exclude={"claims"}) == {
        "token": token,
        "client_id": client,
        "scopes": ["read", "write"],
        "expires_at": int(NOW) + 600,
        "resource": RESOURCE,
        "subject": "alice",
    }
    assert known.claims is not None
    assert known.claims["iss"] == ISSUER


async def test_a_tool_cannot_pass_the_token_on() -> None:
    """Inside `protect` the SDK's value does not contain it (token passthrough)."""
    seen: list[Any] = []

    async def tool(scope: Any, receive: Any, send: Any) -> None:
        seen.append(get_access_token())
        await App()(scope, receive, send)

    app = protect(tool, verifier(), resource=RESOURCE, hooks=[], clock=lambda: NOW)
    assert (await call(app, http("/mcp", token=token_for(RESOURCE)))).status == 200
    assert seen[0].token == ""
    assert get_access_token() is None


@pytest.mark.parametrize(
    ("missing", "name", "extra"),
    [("mcp", "current", "mcp"), ("fastmcp", "FastMCPTokenVerifier", "fastmcp")],
)
def test_what_is_not_installed_is_named(missing: str, name: str, extra: str) -> None:
    """With the extra that installs it; ``linqi.mcp`` itself imports without it."""
    program = f"import sys; sys.modules[{missing!r}] = None; import linqi.mcp; linqi.mcp.{name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"pip install 'linqi[{extra}]'" in done.stderr
