"""Keys of outside issuers over real HTTP: one fetch for all requests, none for a known kid."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from clock import FakeTime
from linqi import (
    ConfigurationError,
    Key,
    KeySet,
    RefreshSettings,
    RemoteKeys,
    RemoteLimits,
    Signer,
    VerifiedCache,
    Verifier,
)
from linqi.asgi.off_loop import OffLoop
from linqi.errors import TokenError, Unavailable, UnknownIssuer, UnknownKey
from linqi.events import Event, KeysExpired, KeySkipped, KeysNotFetched, KeysRefreshed
from linqi.jwks.jwks_client import KeySetResponse
from linqi_storm.outside.issuer import AUDIENCE
from outside import Issuer, verifier_of
from tokens import verified
from waiting import others_wait


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """Return a running issuer."""
    async with Issuer() as issuer:
        yield issuer


async def settled(keys: RemoteKeys, failures: int) -> None:
    """Wait for a background attempt that brings the failures to `failures`."""
    for _ in range(15_000):
        if keys.state().failures == failures:
            await others_wait()
            return
        await asyncio.sleep(0.002)
    raise AssertionError(keys.state())


async def requested(keys: RemoteKeys, requests: int) -> None:
    """Wait until the issuer has received `requests` requests and responded."""
    for _ in range(15_000):
        if keys.state().requests >= requests and not keys._flight:
            await others_wait()
            return
        await asyncio.sleep(0.002)
    raise AssertionError(keys.state())


def forged(kid: str, issuer: str) -> str:
    """Return a token signed by a key that the issuer never had."""
    now = int(time.time())
    signer = Signer(FOREIGN, issuer=issuer, audience=AUDIENCE)
    signer.keys.replace([Key.from_jwk(FOREIGN.private_jwk() | {"kid": kid})])
    return signer.sign({"sub": "mallory", "iat": now, "exp": now + 900})


FOREIGN = Key.generate("ES256", kid="foreign")


async def test_j1_a_thousand_at_a_cold_start_cost_one_fetch(issuer: Issuer) -> None:
    """J1: all waiting requests share one fetch."""
    verifier = verifier_of(issuer.keys())
    tokens = [issuer.token(jti=str(n)) for n in range(50)] * 20
    found = await asyncio.gather(*[verified(verifier, token) for token in tokens])
    assert {value.subject for value in found} == {"alice"}
    assert issuer.counts() == (1, 1)


async def test_j1_a_waiter_that_leaves_does_not_end_the_fetch(issuer: Issuer) -> None:
    """J1: cancelling one waiter does not cancel the fetch of the others."""
    issuer.fault("slow", seconds=0.3, at="jwks")
    keys = issuer.keys()
    verifier, token = verifier_of(keys), issuer.token()
    first = asyncio.create_task(verified(verifier, token))
    others = [asyncio.create_task(verified(verifier, token)) for _ in range(5)]
    while keys.state().requests == 0:
        await asyncio.sleep(0.002)
    first.cancel()
    assert {value.subject for value in await asyncio.gather(*others)} == {"alice"}
    assert first.cancelled()
    assert issuer.counts() == (1, 1)


async def test_j1_a_flood_of_made_up_kids_costs_one_fetch_per_cooldown(issuer: Issuer) -> None:
    """J1, issuer down: 10,000 random kids cause one fetch per cooldown; known kids never wait."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    verifier = verifier_of(keys, cache=None)
    known = issuer.token(exp=int(time.time()) + 9000)
    await verified(verifier, known)

    def is_served_at_once() -> bool:
        """Check that the verification of the known kid never awaits."""
        work = verified(verifier, known)
        try:
            work.send(None)
        except StopIteration as done:
            return bool(done.value.subject == "alice")
        finally:
            work.close()
        return False

    issuer.fault("error")
    floods = [forged(secrets.token_hex(8), issuer.url) for _ in range(100)]
    attempts_before = keys.state().requests
    for second in range(100):  # 10,000 look-ups in 100 simulated seconds
        for token in floods:
            with pytest.raises(UnknownKey):
                await verified(verifier, token)
        if second % 10 == 0:  # a fetch for one of them may be under way
            waiting = asyncio.create_task(verified(verifier, token))
            assert is_served_at_once()
            with pytest.raises(UnknownKey):
                await waiting
        times.move(1)
    attempts = keys.state().requests - attempts_before
    assert 1 <= attempts <= 100 / 30 + 1
    assert keys.state().refused_kids >= 9_990
    assert keys.find("ES256", keys.state().kids[0])


async def test_a_remembered_kid_is_refused_without_a_fetch(issuer: Issuer) -> None:
    """A kid that a fetch did not bring causes no other fetch for 300 s."""
    times = FakeTime()
    keys = issuer.keys(refresh=RefreshSettings(lifetime=3600, most_lifetime=3600), **times.options)
    verifier = verifier_of(keys, times=times)
    await verified(verifier, issuer.token())
    token = forged("unknown", issuer.url)
    for _ in range(4):
        with pytest.raises(UnknownKey):
            await verified(verifier, token)
        times.move(60)
    assert keys.state().unknown_kids == 1
    asked = keys.state().requests
    times.move(61)
    with pytest.raises(UnknownKey):
        await verified(verifier, token)
    await requested(keys, asked + 1)


async def test_the_memory_of_unknown_kids_is_bounded_and_harms_no_known_one(
    issuer: Issuer,
) -> None:
    """A flood fills at most 256 entries, which are separate from the key set."""
    times = FakeTime()
    keys = issuer.keys(limits=RemoteLimits(unknown_kids=4), **times.options)
    verifier = verifier_of(keys, times=times)
    good = await verified(verifier, issuer.token(exp=int(time.time()) + 9000))
    for n in range(10):
        with pytest.raises(UnknownKey):
            await verified(verifier, forged(f"no-{n}", issuer.url))
        times.move(31)
    assert keys.state().unknown_kids <= 4
    assert keys.find("ES256", good.key_id)


async def test_signing_key_rotation_just_before_signing(issuer: Issuer) -> None:
    """OIDF: a key that signs as soon as it is published is found by one forced fetch."""
    verifier = verifier_of(issuer.keys())
    await verified(verifier, issuer.token())
    new = issuer.control("rotate")["signing"]
    assert (await verified(verifier, issuer.token())).key_id == new
    assert issuer.counts() == (1, 2)


async def test_a_new_kid_is_found_as_soon_as_the_cooldown_allows(issuer: Issuer) -> None:
    """After a flood has used the forced fetch, a new key is found by the next one."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    verifier = verifier_of(keys, times=times)
    await verified(verifier, issuer.token())
    with pytest.raises(UnknownKey):
        await verified(verifier, forged("x", issuer.url))
    issuer.control("rotate")
    token = issuer.token(exp=int(time.time()) + 900)
    with pytest.raises(UnknownKey):
        await verified(verifier, token)
    times.move(30)
    assert (await verified(verifier, token)).subject == "alice"


async def test_a_rotation_under_load_refuses_no_valid_token(issuer: Issuer) -> None:
    """OIDF SigningKeyRotation: publish, sign, withdraw, while requests arrive."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    verifier = verifier_of(keys, cache=None)
    exp = int(time.time()) + 9000
    refused = served = 0
    old = issuer.token(exp=exp)

    async def load(tokens: list[str], seconds: int) -> None:
        nonlocal refused, served
        for _ in range(seconds):
            for token in tokens:
                try:
                    await verified(verifier, token)
                    served += 1
                except TokenError:
                    refused += 1
            times.move(1)
            await asyncio.sleep(0)

    await load([old], 10)
    issuer.control("publish")
    await load([old], 300)
    issuer.control("sign")
    new = issuer.token(exp=exp)
    await load([old, new], 300)
    assert (served, refused) == (910, 0)
    assert len(keys.state().kids) == 2


async def test_k3_a_removed_key_stops_verifying_its_cached_tokens(issuer: Issuer) -> None:
    """K3: after a fetch without the key, cached tokens that it signed are refused."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    verifier = verifier_of(keys, times=times)
    old = issuer.token(exp=int(time.time()) + 9000)
    gone = (await verified(verifier, old)).key_id
    issuer.control("rotate")
    issuer.control("remove", kid=gone)
    verifier.verify(old)  # still cached: no fetch has shown the removal
    times.move(300 * 0.8)
    await requested(keys, 2)
    with pytest.raises(UnknownKey):
        await verified(verifier, old)


async def test_k3_a_set_with_a_shorter_lifetime_ends_tokens_cached_before(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K3: a cached token is refused from the end of trust in its key set, although it was later."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    cache = VerifiedCache(lifetime=86_400, monotonic=times.monotonic)
    verifier = verifier_of(keys, cache=cache)
    token = issuer.token(exp=int(time.time()) + 9000)
    await verified(verifier, token)
    fetch = keys._jwks_client.fetch

    async def fetch_shorter(**options: Any) -> KeySetResponse:
        return replace(await fetch(**options), lifetime=30)

    monkeypatch.setattr(keys._jwks_client, "fetch", fetch_shorter)
    times.move(300 * 0.8)
    await requested(keys, 2)
    verifier.verify(token)
    issuer.fault("error")
    times.move(3_630)
    with pytest.raises(Unavailable, match="still trusted"):
        verifier.verify(token)


async def test_j5_a_warm_set_is_fetched_in_the_background(issuer: Issuer) -> None:
    """J5: at 80 % of the lifetime; no look-up waits, although the issuer is slow."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    verifier = verifier_of(keys, times=times)
    token = issuer.token(exp=int(time.time()) + 9000)
    await verified(verifier, token)
    times.move(239)
    await asyncio.sleep(0.05)
    assert keys.state().requests == 1
    issuer.fault("slow", seconds=0.3, at="jwks")
    times.move(1)
    for _ in range(100):
        verifier.verify(token)  # plain calls
        await asyncio.sleep(0)
    await requested(keys, 2)
    assert keys.state().age == 0.0


async def test_j2_an_outage_of_fifty_minutes_refuses_no_valid_token(issuer: Issuer) -> None:
    """J2: known keys verify until lifetime + stale, then fail closed; one success ends it."""
    times, events = FakeTime(), list[Event]()
    keys = issuer.keys(hooks=[events.append], **times.options)
    verifier = verifier_of(keys, times=times)
    exp = int(time.time()) + 90_000
    await verified(verifier, issuer.token(exp=exp))
    tokens = [issuer.token(exp=exp, jti=f"t{n}") for n in range(71)]
    issuer.fault("error")
    refused = 0
    for minute in range(50):
        for _ in range(60):
            times.move(1)
            await asyncio.sleep(0)
            while keys._flight:  # an attempt takes no time on this clock
                await asyncio.sleep(0.001)
        try:
            await verified(verifier, tokens[minute])
        except TokenError:
            refused += 1
    state = keys.state()
    assert refused == 0
    assert state.status == "stale"
    assert 3000 / (120 * 1.2) < state.failures < 3000 / 30
    for _ in range(21 * 60):
        times.move(1)
        await asyncio.sleep(0)
        while keys._flight:
            await asyncio.sleep(0.001)
    await settled(keys, keys.state().failures)
    with pytest.raises(Unavailable, match="still trusted") as caught:
        verifier.verify(tokens[70])
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 120 * 1.1
    with pytest.raises(Unavailable):
        verifier.verify(tokens[0])  # cached ones too
    assert any(isinstance(event, KeysExpired) for event in events)
    issuer.fault()
    times.move(132)
    await settled(keys, 0)
    assert (await verified(verifier, tokens[70])).subject == "alice"
    assert keys.state().status == "fresh"


@pytest.mark.parametrize("kind", ["error", "garbage", "huge", "redirect", "empty", "cut", "hang"])
@pytest.mark.parametrize("at", ["discovery", "jwks"])
async def test_j3_any_fault_of_the_issuer_is_unavailable(
    issuer: Issuer, kind: str, at: str
) -> None:
    """J3: every fault of an issuer is raised as `Unavailable`, and one good response ends it."""
    issuer.fault(kind, at=at)
    events = list[Event]()
    keys = issuer.keys(
        limits=RemoteLimits(timeout=2 if kind == "hang" else 5),
        refresh=RefreshSettings(cooldown=1),
        hooks=[events.append],
    )
    verifier, token = verifier_of(keys), issuer.token()
    with pytest.raises(Unavailable):
        await verified(verifier, token)
    assert keys.state().failures == 1
    assert keys.state().last_error
    assert isinstance(events[0], KeysNotFetched)
    issuer.fault()
    for _ in range(2000):
        if keys.state().is_ready:
            break
        await asyncio.sleep(0.01)
    assert (await verified(verifier, token)).subject == "alice"
    await keys.close()


@pytest.mark.parametrize("kind", ["error", "garbage", "huge", "redirect", "empty", "cut"])
async def test_j2_a_failed_fetch_keeps_the_old_set(issuer: Issuer, kind: str) -> None:
    """J2: PyJWT's client lost its cache in an outage (GHSA-fhv5)."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    verifier, token = verifier_of(keys, cache=None), issuer.token()
    await verified(verifier, token)
    issuer.fault(kind, at="jwks")
    times.move(240)
    await settled(keys, 1)
    assert verifier.verify(token).subject == "alice"


async def test_j3_one_broken_key_spoils_only_itself(issuer: Issuer) -> None:
    """J3: the other keys of the set verify, and the broken one is reported once."""
    times, events = FakeTime(), list[Event]()
    issuer.fault("broken_key", at="jwks")
    keys = issuer.keys(hooks=[events.append], **times.options)
    assert await verified(verifier_of(keys, times=times), issuer.token())
    times.move(600)
    await requested(keys, 2)
    assert [event.kid for event in events if isinstance(event, KeySkipped)] == ["broken"]
    assert [key.reason for key in keys.state().skipped] == ["broken"]


async def test_j4_the_discovered_issuer_must_be_the_configured_one(issuer: Issuer) -> None:
    """OIDF DiscoveryIssuerMismatch: a trailing slash is another issuer."""
    issuer.fault("wrong_issuer", at="discovery")
    keys = issuer.keys()
    with pytest.raises(Unavailable, match="names the issuer"):
        await verified(verifier_of(keys), issuer.token())
    await keys.close()


async def test_isolation_a_hanging_issuer_does_not_slow_another(issuer: Issuer) -> None:
    """Each issuer has its own flight, schedule and client."""
    async with Issuer() as other:
        other.fault("hang")
        here, there = issuer.keys(), other.keys(limits=RemoteLimits(timeout=60))
        verifier = verifier_of(here, there)
        hanging = asyncio.create_task(verified(verifier, other.token()))
        await asyncio.sleep(0.05)
        assert (await verified(verifier, issuer.token())).issuer == issuer.url
        assert not hanging.done()
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        await there.close()


async def test_v4_the_same_kid_at_two_issuers_is_two_keys() -> None:
    """V4: iss selects the key set; a key of another issuer with the same kid is not used."""
    async with Issuer() as one, Issuer() as two:
        first, second = one.keys(), two.keys()
        verifier = verifier_of(first, second)
        await verified(verifier, one.token())
        await verified(verifier, two.token())
        token = forged(first.state().kids[0], two.url)
        with pytest.raises(UnknownKey):
            await verified(verifier, token)


async def test_v4_an_issuer_that_is_not_listed_is_never_asked(issuer: Issuer) -> None:
    """V6: keys are fetched from configured issuers only, whatever iss a token has."""
    verifier = verifier_of(issuer.keys())
    with pytest.raises(UnknownIssuer):
        await verified(verifier, forged("x", "http://127.0.0.1:9"))
    assert issuer.counts() == (0, 0)


async def test_a_failed_revocation_check_causes_no_fetch(issuer: Issuer) -> None:
    """The key is known, so `Unavailable` for another reason sends no request to the issuer."""

    def is_revoked(_: object) -> bool:
        raise OSError

    keys = issuer.keys()
    await keys.start()
    verifier = Verifier(keys.trust(AUDIENCE), is_revoked=is_revoked)
    with pytest.raises(Unavailable, match="revocation"):
        await verified(verifier, issuer.token())
    assert issuer.counts() == (1, 1)


async def test_a_missing_key_of_a_given_set_causes_no_fetch() -> None:
    """A `KeySet` has no source to fetch from."""
    signer = Signer(FOREIGN, issuer="https://id.example", audience=AUDIENCE)
    token = signer.sign({"sub": "alice", "iat": int(time.time()), "exp": int(time.time()) + 900})
    verifier = Verifier.trusting(Signer(Key.generate("ES256"), issuer=signer.issuer, audience="x"))
    with pytest.raises(UnknownKey):
        verifier.verify(token)
    assert not await verifier.fetch_key(token)


async def test_a_key_is_fetched_once_for_checks_in_threads(issuer: Issuer) -> None:
    """Cold and after a rotation, requests whose signatures threads check share one fetch."""
    verifier = verifier_of(issuer.keys())
    off_loop = OffLoop(verifier, ["ES256"])
    for fetches in (1, 2):
        token = issuer.token().encode()
        found = await asyncio.gather(*[off_loop.verify(token) for _ in range(20)])
        assert {value.subject for value in found} == {"alice"}
        assert issuer.counts() == (1, fetches)
        issuer.control("rotate")
    await off_loop.close()


async def test_kid_absent_single_jwks_is_accepted_multiple_refused(issuer: Issuer) -> None:
    """OIDF KidAbsentSingleJwks, KidAbsentMultipleMatchingKeys: V5, and no fetch for it."""
    keys = issuer.keys()
    await keys.start()
    assert keys.find("ES256", None).kid == keys.state().kids[0]
    issuer.control("rotate")
    await verified(verifier_of(keys), issuer.token())
    with pytest.raises(UnknownKey):
        keys.find("ES256", None)
    assert not await keys.fetch_for("ES256", None)
    await keys.close()


async def test_invalid_signature_by_a_known_kid_costs_no_fetch(issuer: Issuer) -> None:
    """OIDF InvalidSignature: a wrong signature causes no fetch."""
    keys = issuer.keys()
    verifier = verifier_of(keys)
    kid = (await verified(verifier, issuer.token())).key_id
    with pytest.raises(TokenError, match="signature"):
        await verified(verifier, forged(kid, issuer.url))
    assert issuer.counts() == (1, 1)


async def test_a_known_kid_is_a_plain_call(issuer: Issuer) -> None:
    """With a warm set `verify` returns without an await."""
    keys = issuer.keys()
    verifier = verifier_of(keys, cache=None)
    await keys.start()
    assert verifier.verify(issuer.token()).subject == "alice"
    await keys.close()
    assert verifier.verify(issuer.token()).subject == "alice"


async def test_a_snapshot_starts_a_process_without_the_issuer(issuer: Issuer) -> None:
    """A new process verifies with a saved snapshot as long as the first process would have."""
    first = issuer.keys()
    await first.start()
    assert first.snapshot() is not None
    token = issuer.token()
    snapshot = type(first.snapshot()).from_json(first.snapshot().to_json())  # type: ignore[union-attr]
    await first.close()
    issuer.fault("error")
    second = issuer.keys(initial=snapshot)
    assert second.state().is_ready
    assert verifier_of(second).verify(token).subject == "alice"
    times = FakeTime()
    times.wall.now = snapshot.fetched_at + 300 + 3600  # type: ignore[union-attr]
    late = issuer.keys(initial=snapshot, **times.options)
    assert late.state().status == "cold"
    with pytest.raises(ConfigurationError, match="snapshot of"):
        RemoteKeys("https://other.example", ["ES256"], initial=snapshot)


async def test_the_state_has_the_past_and_the_next_attempt(issuer: Issuer) -> None:
    """Last success, age, next attempt, failures: for a dashboard and a readiness probe."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    cold = keys.state()
    assert (cold.status, cold.is_ready, cold.last_success, cold.age) == ("cold", False, None, None)
    await keys.start()
    times.move(10)
    state = keys.state()
    assert (state.status, state.age, state.failures) == ("fresh", 10, 0)
    assert state.last_success == times.wall.now - 10
    assert state.next_attempt_in == pytest.approx(230)
    assert state.trusted_for == pytest.approx(300 + 3600 - 10)
    assert "fresh" in repr(keys)
    await keys.close()


async def test_a_start_that_requires_keys_fails_without_them(issuer: Issuer) -> None:
    """With `required` the start fails; otherwise it retries in the background."""
    issuer.fault("error")
    strict = issuer.keys(required=True)
    with pytest.raises(Unavailable, match="answered with 500"):
        await strict.start()
    easy = issuer.keys()
    await easy.start()
    assert not easy.state().is_ready
    await easy.close()


def test_a_key_set_serves_one_event_loop_after_another() -> None:
    """Tests and scripts use several loops: the state of an earlier loop is dropped."""
    with Issuer() as issuer:
        keys = issuer.keys(refresh=RefreshSettings(cooldown=1))
        for _ in range(2):
            issuer.control("rotate")
            found = asyncio.run(verified(verifier_of(keys), issuer.token()))
            assert found.subject == "alice"
            time.sleep(1.01)


async def test_events_list_added_and_removed_keys(issuer: Issuer) -> None:
    """`KeysRefreshed` has the number of keys, the added kids and the removed kids."""
    events = list[Event]()
    keys = issuer.keys(hooks=[events.append])
    verifier = verifier_of(keys)
    old = (await verified(verifier, issuer.token())).key_id
    new = issuer.control("rotate")["signing"]
    issuer.control("remove", kid=old)
    await verified(verifier, issuer.token())
    first, second = [event for event in events if isinstance(event, KeysRefreshed)]
    assert (first.added, first.removed, first.lifetime) == ((old,), (), 300)
    assert (second.added, second.removed) == ((new,), (old,))
    await keys.close()


async def test_an_unchanged_set_costs_no_body(issuer: Issuer) -> None:
    """The ETag is sent; a 304 renews the lifetime of the set."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    await keys.start()
    generation = keys.generation
    times.move(240)
    await requested(keys, 2)
    state = keys.state()
    assert (state.age, state.status, keys.generation) == (0, "fresh", generation)


async def test_the_discovered_address_is_asked_for_again_after_a_failure(issuer: Issuer) -> None:
    """The jwks_uri may have changed: the next attempt repeats discovery."""
    times = FakeTime()
    keys = issuer.keys(**times.options)
    await keys.start()
    issuer.fault("error", at="jwks")
    times.move(240)
    await settled(keys, 1)
    issuer.fault()
    times.move(30)
    await settled(keys, 0)
    assert issuer.counts()[0] == 2


async def test_a_client_of_the_callers_own_is_used_and_left_open(issuer: Issuer) -> None:
    """A client for proxies and private certificates may be of httpx2 or httpx."""
    import httpx
    import httpx2

    for make in (httpx2.AsyncClient, httpx.AsyncClient):
        async with make() as client:
            keys = issuer.keys(client=client)
            await keys.start()
            assert keys.state().is_ready
            await keys.close()
            assert not client.is_closed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"issuer": ""}, "issuer"),
        ({"issuer": "http://id.example"}, "http"),
        ({"issuer": "https://id.example#x"}, "https URL"),
        ({"issuer": "https://user@id.example"}, "https URL"),
        ({"url": "http://id.example/jwks"}, "http"),
        ({"url": "file:///etc/passwd"}, "https URL"),
        ({"algorithms": []}, "algorithms"),
        ({"algorithms": "RS256"}, "algorithms"),
        ({"algorithms": ["HS256"]}, "HMAC keys are secrets"),
        ({"algorithms": ["none"]}, "none"),
    ],
)
def test_misconfiguration_is_found_at_construction(arguments: dict[str, Any], text: str) -> None:
    """V1, J3, J4: each fault is reported before anything is fetched."""
    options = {"issuer": "https://id.example", "algorithms": ["RS256"]} | arguments
    with pytest.raises(ConfigurationError, match=text):
        RemoteKeys(**options)


def test_a_key_set_and_remote_keys_are_told_apart_from_other_things() -> None:
    """A dict is not accepted as a source of keys."""
    with pytest.raises(ConfigurationError, match="keys is no KeySet"):
        RemoteKeys("https://id.example", ["RS256"]).trust("api", **{"types": ["jwt"]}).__class__(
            issuer="https://id.example",
            audience="api",
            keys={},
            algorithms=["RS256"],  # type: ignore[arg-type]
        )
    assert isinstance(KeySet([FOREIGN]).trusted_until, float)
