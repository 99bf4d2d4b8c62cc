"""Keys of AWS load balancers over real HTTP: one PEM at a URL of its own for each key id."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from alb import CLIENT, ISSUER, KID, OTHER_SIGNER, SIGNER, KeyServer, alb_token
from asgi import App, served
from certificates import private_pem_of
from clock import FakeTime
from linqi import (
    AlbKeys,
    ConfigurationError,
    JWTMiddleware,
    Key,
    NamedHeaderTransport,
    RemoteLimits,
    Verifier,
)
from linqi.errors import InvalidSignature, MalformedToken, TokenError, Unavailable, UnknownKey
from linqi.events import Event, KeysExpired, KeysNotFetched, KeysRefreshed
from linqi.jwks.alb_url import alb_keys_url
from linqi.jwks.kid_queue import KidQueue
from tokens import NOW, verified
from waiting import others_wait

KEY = Key.generate("ES256", kid=KID)
NEXT = Key.generate("ES256", kid="aa40cd4a-4ba2-4293-bfe3-d3ff2ebf81ab")


@dataclass
class Site:
    """A verifier, its keys, the server that has them, and their time."""

    server: KeyServer
    keys: AlbKeys
    verifier: Verifier
    time: FakeTime
    seen: list[Event] = field(default_factory=list)

    async def accepts(self, token: str) -> bool:
        """Return whether a token is accepted, after a fetch of its key if one is allowed."""
        try:
            return bool((await verified(self.verifier, token)).subject)
        except UnknownKey:
            return False


@asynccontextmanager
async def running(server: KeyServer | None = None, **options: Any) -> AsyncIterator[Site]:
    """Run the server, and keys that are started."""
    server = server or KeyServer(KEY)
    time = FakeTime()
    seen: list[Event] = []
    async with served(server) as port:
        arguments = time.options | {"clock": lambda: NOW, "hooks": [seen.append]} | options
        keys = AlbKeys(ISSUER, SIGNER, url=f"http://127.0.0.1:{port}", **arguments)
        verifier = Verifier(keys.trust(CLIENT), cache=None, clock=lambda: NOW)
        await keys.start()
        try:
            yield Site(server, keys, verifier, time, seen)
        finally:
            await keys.close()


def made_up(kid: str | None = None) -> str:
    """Return a token of a thief that names a key which does not exist."""
    thief = Key.generate("ES256", kid=kid or str(uuid.uuid4()))
    return alb_token(thief)


async def settled(site: Site, requests: int) -> None:
    """Wait until the server was asked so often and has answered."""
    for _ in range(15_000):
        if len(site.server.asked) >= requests and not site.keys._flight:
            await others_wait()
            return
        await asyncio.sleep(0.002)
    raise AssertionError(site.server.asked)


async def test_j1_the_first_token_fetches_its_key_once() -> None:
    """Requests with one new key id share a fetch, and later ones make none."""
    async with running() as site:
        site.server.gate = asyncio.Event()
        waiting = [asyncio.create_task(site.accepts(alb_token(KEY))) for _ in range(50)]
        while not site.server.asked:
            await asyncio.sleep(0.002)
        site.server.gate.set()
        assert all(await asyncio.gather(*waiting))
        assert await site.accepts(alb_token(KEY))
        assert site.server.asked == [KID]
        assert site.keys.kids == (KID,)
        assert [e.added for e in site.seen if isinstance(e, KeysRefreshed)] == [(KID,)]


async def test_the_middleware_takes_the_header_of_the_load_balancer() -> None:
    """The whole way: the header, the fetch, the user; other headers of AWS decide nothing."""
    async with running() as site:
        app = App()
        middleware = JWTMiddleware(
            app, site.verifier, transports=[NamedHeaderTransport("x-amzn-oidc-data")], hooks=[]
        )
        header = "x-amzn-oidc-data"
        async with served(middleware) as port, httpx2.AsyncClient() as client:
            page = f"http://127.0.0.1:{port}/"
            ours = await client.get(page, headers={header: alb_token(KEY)})
            unsigned = await client.get(page, headers={"x-amzn-oidc-identity": "alice"})
            forged = await client.get(page, headers={header: made_up()})
        assert (ours.status_code, unsigned.status_code, forged.status_code) == (200, 401, 401)
        (scope,) = [scope for scope in app.scopes if scope["type"] == "http"]
        assert scope["user"].claims["username"] == "alice"


PATHS = [
    "../../x",
    "..%2f..%2fx",
    "x?y=",
    KID + "/",
    KID + "?",
    KID + "\n",
    KID.upper(),
    KID.replace("-", ""),
    "{" + KID + "}",
    "https://evil.test/" + KID,
    "",
]


async def test_v4_only_a_uuid_becomes_part_of_a_url() -> None:
    """No token chooses what is requested (server-side request forgery)."""
    async with running() as site:
        for kid in [*PATHS, ...]:
            with pytest.raises((UnknownKey, MalformedToken)):
                await verified(site.verifier, alb_token(KEY, header={"kid": kid}))
        assert site.server.asked == []


async def test_v6_a_token_of_another_signer_causes_no_fetch() -> None:
    """Who signed is compared before a key is looked for."""
    async with running() as site:
        for header in ({"signer": OTHER_SIGNER}, {"client": "x"}):
            with pytest.raises(TokenError):
                await verified(site.verifier, alb_token(KEY, header=header))
        assert site.server.asked == []


async def test_v2_a_key_verifies_tokens_of_its_own_id_only() -> None:
    """A signature by one real key under the id of another is refused."""
    async with running(KeyServer(KEY, NEXT)) as site:
        assert await site.accepts(alb_token(NEXT))
        with pytest.raises(InvalidSignature):
            await verified(site.verifier, alb_token(NEXT, header={"kid": KID}))


@pytest.mark.parametrize("missing", [403, 404, 410])
async def test_j1_a_made_up_key_id_is_asked_for_once(missing: int) -> None:
    """It is remembered as unknown, and refused with 401; the storage of AWS says 403 or 404."""
    async with running(KeyServer(KEY, missing=missing)) as site:
        token = made_up()
        for _ in range(3):
            assert not await site.accepts(token)
        assert len(site.server.asked) == 1
        site.time.move(301)
        assert not await site.accepts(token)
        assert len(site.server.asked) == 2


async def test_j1_a_flood_of_made_up_key_ids_costs_a_bounded_number_of_fetches() -> None:
    """8 in a cooldown; known keys go on, and a new one that clients really use comes first."""
    async with running(KeyServer(KEY)) as site:
        assert await site.accepts(alb_token(KEY))
        for _ in range(200):
            assert not await site.accepts(made_up())
        assert len(site.server.asked) == 8
        assert await site.accepts(alb_token(KEY))
        site.server.documents[NEXT.kid] = NEXT.public_pem()
        for _ in range(2):
            assert not await site.accepts(alb_token(NEXT))  # within the cooldown
        site.time.move(27)
        assert not await site.accepts(alb_token(NEXT))
        assert not await site.accepts(alb_token(NEXT))
        site.time.move(3.1)
        for _ in range(20):
            assert not await site.accepts(made_up())
        assert await site.accepts(alb_token(NEXT))
        assert len(site.server.asked) == 9


async def test_j2_an_outage_keeps_known_keys_and_is_503_for_new_ones() -> None:
    """Until they are too old; nothing is asked again within the cooldown."""
    async with running() as site:
        assert await site.accepts(alb_token(KEY))
        site.server.status = 500
        for _ in range(3):
            with pytest.raises(Unavailable):
                await verified(site.verifier, alb_token(NEXT))
        assert site.server.asked.count(NEXT.kid) == 1
        site.time.move(600)
        await settled(site, 3)
        assert await site.accepts(alb_token(KEY))
        assert any(isinstance(e, KeysNotFetched) and e.trusted_for for e in site.seen)
        site.time.move(3600)
        await settled(site, 4)
        with pytest.raises(Unavailable):
            await verified(site.verifier, alb_token(KEY))
        assert len([e for e in site.seen if isinstance(e, KeysExpired)]) == 1
        site.server.status = 0
        site.time.move(150)
        await settled(site, len(site.server.asked) + 1)
        assert await site.accepts(alb_token(KEY))


async def test_j5_a_key_that_is_used_is_fetched_again_and_another_is_dropped() -> None:
    """In the background; what no token names any more is not requested for ever."""
    async with running() as site:
        assert await site.accepts(alb_token(KEY))
        assert await site.accepts(alb_token(KEY))
        before = site.keys.trusted_until
        site.time.move(500)
        await settled(site, 2)
        assert site.keys.trusted_until > before
        generation = site.keys.generation
        site.time.move(500)
        for _ in range(15_000):
            if not site.keys.kids:
                break
            await asyncio.sleep(0.002)
        assert len(site.server.asked) == 2
        assert site.keys.generation > generation


async def test_j2_a_key_that_is_gone_verifies_no_more() -> None:
    """404 says that it does not exist; 403 may be a mistake of the storage, and keeps it."""
    async with running(KeyServer(KEY, missing=403)) as site:
        assert await site.accepts(alb_token(KEY))
        del site.server.documents[KID]
        site.time.move(500)
        await settled(site, 2)
        assert await site.accepts(alb_token(KEY))
        site.server.missing = 404
        site.time.move(60)
        await settled(site, 3)
        assert not await site.accepts(alb_token(KEY))
        assert site.keys.kids == ()


DOCUMENTS = [
    private_pem_of(KEY),
    Key.generate("ES384").public_pem(),
    Key.generate("RS256").public_pem(),
    "",
    "<html>",
    KEY.public_pem() * 2,
]


async def test_v16_a_document_that_is_no_public_key_for_es256_is_none() -> None:
    """The curve fits, and a published private key is compromised."""
    async with running() as site:
        for document in DOCUMENTS:
            site.server.documents[KID] = document
            with pytest.raises(Unavailable):
                await verified(site.verifier, alb_token(KEY))
            site.time.move(31)
        assert [type(e) for e in site.seen] == [KeysNotFetched] * len(DOCUMENTS)


async def test_the_number_of_keys_is_bounded() -> None:
    """The one that was used least is dropped, and fetched again when a token names it."""
    keys = [Key.generate("ES256", kid=str(uuid.uuid4())) for _ in range(4)]
    async with running(KeyServer(*keys), limits=RemoteLimits(max_keys=3)) as site:
        for key in keys:
            assert await site.accepts(alb_token(key))
            site.time.move(0.01)
        assert site.keys.kids == tuple(key.kid for key in keys[1:])
        assert await site.accepts(alb_token(keys[0]))
        assert len(site.keys.kids) == 3


def test_one_that_is_named_most_often_is_admitted_first() -> None:
    """And one that no request names any longer keeps no other waiting."""
    time = FakeTime()
    queue = KidQueue(1, 30, time.monotonic)
    assert queue.admits("first")
    assert [queue.admits("often") for _ in range(3)] == [False] * 3
    time.move(28)
    assert [queue.admits("often") for _ in range(2)] == [False] * 2
    time.move(2)
    assert not queue.admits("once")
    assert queue.admits("often")
    time.move(31)
    assert queue.admits("once")


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        (SIGNER, "https://public-keys.auth.elb.eu-west-1.amazonaws.com"),
        (
            SIGNER.replace("aws:", "aws-us-gov:").replace("eu-west-1", "us-gov-east-1"),
            "https://s3-us-gov-east-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-east-1",
        ),
    ],
)
def test_the_url_is_that_of_the_region(arn: str, url: str) -> None:
    """As AWS documents it, GovCloud included."""
    assert alb_keys_url([arn], None) == url
    assert alb_keys_url([arn], "https://mirror.example/keys/") == "https://mirror.example/keys"


@pytest.mark.parametrize(
    ("signers", "url", "fault"),
    [
        ([SIGNER, SIGNER.replace("eu-west-1", "us-east-1")], None, "one region"),
        ([SIGNER.replace("aws:", "aws-cn:").replace("eu-west-1", "cn-north-1")], None, "pass url"),
        ([], None, "neither"),
        (["x"], None, "no ARN"),
        ([SIGNER], "http://keys.example", "https"),
        ([SIGNER], "https://keys.example/?a=", "query"),
    ],
)
def test_a_place_that_is_not_known_is_a_fault(
    signers: list[str], url: str | None, fault: str
) -> None:
    """No URL is guessed for a partition that the documentation does not describe."""
    with pytest.raises(ConfigurationError, match=fault):
        AlbKeys(ISSUER, signers, url=url)
    with pytest.raises(ConfigurationError, match="new_kids"):
        RemoteLimits(new_kids=0)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("rate", [200, 1000])
def test_j1_a_flood_delays_a_named_key_id_by_one_period_at_most(times: int, rate: int) -> None:
    """Made-up key ids, each named once or twice, push out none that five requests a second name."""
    time = FakeTime()
    queue = KidQueue(8, 30, time.monotonic)
    admitted = None
    for request in range(35 * rate):
        time.move(1 / rate)
        queue.admits(f"made up {request // times}")
        if request > rate and request % (rate // 5) == 0 and queue.admits("real"):
            admitted = request / rate
            break
    assert admitted is not None
    assert admitted < 31
