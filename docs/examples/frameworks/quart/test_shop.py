"""Unit tests of the shop: the guard runs as in production, no server is started.

pytest-asyncio runs the tests; pytest.ini has ``asyncio_mode = auto``.
"""

import pytest
import shop


@pytest.fixture
async def client():
    """Return Quart's own test client of the guarded application."""
    async with shop.app.test_app() as running:
        yield running.test_client()


async def test_a_caller_with_the_scope_reads_orders(client, signed_in):
    """`signed_in` makes a real session of alice, with the application's own keys."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    assert await (await alice.get("/orders")).get_json() == [{"id": 1}]


async def test_a_caller_without_the_scope_is_refused(client, signed_in):
    """403 names the scope."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    refused = await alice.delete("/accounts/root")
    assert refused.status_code == 403
    assert (await refused.get_json())["scope"] == "admin"


async def test_a_stranger_is_refused(client):
    """401, in the format of linqi.toml."""
    refused = await client.get("/orders")
    assert refused.status_code == 401
    assert (await refused.get_json())["code"] == "no_token"


async def test_an_expired_token_is_renewed(client, signed_in, linqi_clock):
    """The clock of linqi moves; nothing sleeps."""
    alice = signed_in(client, "alice", scopes=["orders:read"])
    assert (await alice.get("/orders")).status_code == 200
    linqi_clock.advance(901)
    expired = await alice.get("/orders")
    assert (await expired.get_json())["code"] == "token_expired"
    renewed = await client.post("/refresh", json={"refresh_token": alice.refresh_token})
    token = (await renewed.get_json())["access_token"]
    answer = await client.get("/orders", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_a_socket_needs_a_token(client, signed_in):
    """The guard refuses before the application accepts."""
    alice = signed_in(client, "alice")
    await alice.get("/hello")
    async with client.websocket("/ws", headers=alice.headers) as socket:
        await socket.send("hi")
        assert await socket.receive() == "alice: hi"
