"""The route that publishes our own public keys."""

import json

import pytest
import websockets

from asgi import Answer, call, http, nothing, served
from clock import FakeClock
from linqi import ConfigurationError, Key, KeySet, jwks_route, rotate
from linqi.errors import LinqiError

KEYS = [Key.generate("ES256", kid=f"k{n}") for n in range(2)]


async def test_the_public_half_is_served_with_lifetime_and_etag() -> None:
    """RFC 7517: no secret member, a type, a lifetime, and any origin may read it."""
    answer = await call(jwks_route(KeySet(KEYS[:1]), max_age=120), http("/jwks"))
    body = json.loads(answer.messages[1]["body"])
    assert answer.status == 200
    assert answer.header("content-type") == "application/jwk-set+json"
    assert answer.header("cache-control") == "public, max-age=120"
    assert answer.header("access-control-allow-origin") == "*"
    assert body == {"keys": [KEYS[0].public_jwk()]}
    assert answer.header("content-length") == str(len(answer.messages[1]["body"]))


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_a_known_etag_is_answered_with_304_and_no_body(form: str) -> None:
    """RFC 9110, section 13.1.2: weak comparison, lists, and the star."""
    route = jwks_route(KeySet(KEYS[:1]))
    etag = (await call(route, http("/jwks"))).header("etag") or ""
    wanted = [(b"if-none-match", form.format(etag).encode())]
    answer = await call(route, http("/jwks", headers=wanted))
    assert answer.status == 304
    assert answer.messages[1]["body"] == b""
    assert answer.header("etag") == etag


async def test_the_etag_changes_with_the_keys() -> None:
    """A verifier that asks gets the new set at once."""
    keys = KeySet(KEYS[:1])
    route = jwks_route(keys)
    etag = (await call(route, http("/jwks"))).header("etag") or ""
    keys.add(KEYS[1])
    answer = await call(route, http("/jwks", headers=[(b"if-none-match", etag.encode())]))
    assert answer.status == 200


async def test_head_has_no_body_and_other_methods_are_refused() -> None:
    """RFC 9110: HEAD is GET without content; 405 names what is allowed."""
    route = jwks_route(KeySet(KEYS[:1]))
    head = await call(route, http("/jwks", method="HEAD"))
    assert (head.status, head.messages[1]["body"]) == (200, b"")
    post = await call(route, http("/jwks", method="POST"))
    assert (post.status, post.header("allow")) == (405, "GET, HEAD")


async def test_a_websocket_is_refused_before_it_is_accepted() -> None:
    """The route answers HTTP only; a handshake is closed, which servers answer as 403."""
    route, answer = jwks_route(KeySet(KEYS[:1])), Answer()
    await route({"type": "websocket", "path": "/jwks", "headers": []}, nothing, answer.send)
    assert answer.messages == [{"type": "websocket.close", "code": 1008, "reason": ""}]
    with pytest.raises(LinqiError, match="lifespan"):
        await route({"type": "lifespan"}, nothing, answer.send)
    async with served(route) as port:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await websockets.connect(f"ws://127.0.0.1:{port}/jwks")
    assert refusal.value.response.status_code == 403


async def test_a_key_past_its_time_is_not_published(clock: FakeClock) -> None:
    """The route follows the clock: a new key needs no second publication."""
    done = rotate(KEYS[:1], KEYS[1], clock.now, lead=60, token_lifetime=600)
    route = jwks_route(KeySet(done.keys), clock=clock)

    async def kids() -> list[str]:
        answer = await call(route, http("/jwks"))
        return [key["kid"] for key in json.loads(answer.messages[1]["body"])["keys"]]

    assert await kids() == ["k0", "k1"]
    clock.now = done.published_until
    assert await kids() == ["k1"]


def test_secrets_and_wrong_lifetimes_are_refused() -> None:
    """Every fault at once, at construction."""
    secret = KeySet([Key.generate("HS256")])
    with pytest.raises(ConfigurationError) as caught:
        jwks_route(secret, max_age=-1)
    assert len(caught.value.faults) == 2
