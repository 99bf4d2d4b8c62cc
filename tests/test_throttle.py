"""The login throttle: counted before it is asked, by whom, and how a device gets past a lock."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi import http
from clock import FakeClock
from linqi import ConfigurationError, LoginThrottle, Person
from linqi.asgi.client_address import client_network, read_networks
from linqi.errors import Unavailable
from linqi.events import LoginThrottled, LoginThrottleFailed
from linqi.stores.memory import MemoryStore
from linqi.stores.memory_attempts import MemoryAttempts
from test_routes import COOKIE, JSON, ORIGIN, SAME, Reply, Site

STRANGER, HOME = "203.0.113.7", "198.51.100.1"


class Door(Site):
    """A site whose sign-ins are counted, and what reached its password check."""

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        self.asked: list[str] = []
        self.mood: Callable[[], Any] | None = None
        self.events: list[Any] = []
        super().__init__(clock, origins=[ORIGIN], **options)
        self.sessions.listen(self.events.append)

    async def authenticate(self, form: Any) -> Person | None:
        """Let alice and bob in, and note that it was asked."""
        self.asked.append(form["username"])
        if self.mood is not None:
            await self.mood()
        return await super().authenticate(form)

    async def try_in(
        self,
        name: str = "alice",
        password: str = "wrong",  # noqa: S107 - that is no secret
        *headers: tuple[bytes, bytes],
        address: Any = STRANGER,
        **fields: str,
    ) -> Reply:
        """Try to sign in from `address`; None: the server knows none."""
        body = json.dumps({"username": name, "password": password} | fields).encode()
        scope = http("/login", method="POST", headers=[JSON, *headers])
        scope["client"] = (address, 1) if isinstance(address, str) else address
        messages = [{"type": "http.request", "body": body}]

        async def receive() -> Any:
            return messages.pop(0)

        reply = Reply()
        await self.guarded(scope, receive, reply.send)
        return reply

    async def device(self, name: str = "alice") -> str:
        """Sign in at home, and give the device token."""
        token: str = (await self.try_in(name, "right", address=HOME)).json["device_token"]
        return token

    async def lock(self, name: str = "alice") -> None:
        """Fail from enough addresses for the name to be refused from everywhere."""
        for n in range(100):
            assert (await self.try_in(name, address=f"203.0.113.{n}")).status == 400
        assert (await self.try_in(name, address="203.0.113.200")).status == 429


@pytest.fixture
async def door(clock: FakeClock) -> AsyncIterator[Door]:
    """Return a running site."""
    door = Door(clock)
    await door.sessions.start()
    yield door
    await door.sessions.close()


async def test_d13_parallel_guesses_reach_the_check_as_often_as_allowed(
    door: Door,
) -> None:
    """500 at once: five are asked about, whatever the order; the rest are refused unasked."""
    held = asyncio.Event()
    door.mood = held.wait
    waiting = [asyncio.create_task(door.try_in()) for _ in range(500)]
    for _ in range(20):
        await asyncio.sleep(0)
    held.set()
    statuses = [reply.status for reply in await asyncio.gather(*waiting)]
    assert len(door.asked) == 5
    assert sorted(statuses) == [400] * 5 + [429] * 495


async def test_d13_a_success_takes_back_its_own_attempt_only(door: Door, clock: FakeClock) -> None:
    """Any number of right passwords counts for nothing; failures before them still count."""
    for _ in range(4):
        assert (await door.try_in()).status == 400
    for _ in range(20):
        assert (await door.try_in(password="right")).status == 200
    assert (await door.try_in()).status == 400
    assert (await door.try_in(password="right")).status == 429
    clock.move(300)
    assert (await door.try_in(password="right")).status == 200


@pytest.mark.parametrize("ahead", [-400.0, 400.0])
async def test_d13_workers_whose_clocks_differ_count_together(
    clock: FakeClock, ahead: float
) -> None:
    """A guesser who alternates between them gets no more than at one: neither frees the other's."""
    store = MemoryStore(clock=clock)
    doors = [Door(FakeClock(clock.now + by), store=store) for by in (0, ahead)]
    for n in range(20):
        await doors[n % 2].try_in()
    assert sum(len(door.asked) for door in doors) == 5
    for door in doors:
        await door.sessions.close()


async def test_d13_an_answer_that_never_came_takes_nothing_back(door: Door) -> None:
    """Raised or cancelled: otherwise an attacker who can cause that guesses for free."""

    async def broken() -> None:
        raise OSError("directory")

    door.mood = broken
    for _ in range(3):
        assert (await door.try_in(password="right")).status >= 500
    held = asyncio.Event()
    door.mood = held.wait
    leaving = [asyncio.create_task(door.try_in(password="right")) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    door.mood = None
    assert (await door.try_in(password="right")).status == 429
    assert len(door.asked) == 5


async def test_a_store_that_cannot_start_the_session_gave_the_attempt_back(
    clock: FakeClock,
) -> None:
    """The password was right: trying again is what the 503 asks for."""

    class Full(MemoryStore):
        async def create(self, *arguments: Any) -> Any:
            raise Unavailable("full")

    door = Door(clock, store=Full(clock=clock))
    for _ in range(10):
        assert (await door.try_in(password="right")).status == 503


class Dead(MemoryAttempts):
    """Counters that can be taken away."""

    failing: frozenset[str] = frozenset()

    async def reserve(self, *arguments: Any) -> Any:
        """Count, or not."""
        if "reserve" in self.failing:
            raise Unavailable("gone")
        return await super().reserve(*arguments)

    async def release(self, *arguments: Any) -> None:
        """Take back, or not."""
        if "release" in self.failing:
            raise Unavailable("gone")
        await super().release(*arguments)


async def test_d13_nothing_gets_past_counters_that_are_down(clock: FakeClock) -> None:
    """503 with Retry-After and an event; the password is not looked at."""
    counters = Dead()
    door = Door(clock, throttle=LoginThrottle(storage=counters))
    counters.failing = frozenset({"reserve"})
    reply = await door.try_in(password="right")
    assert (reply.status, reply.header("retry-after")) == (503, "1")
    assert door.asked == []
    assert door.events[0] == LoginThrottleFailed(step="reserve", detail="gone")
    counters.failing = frozenset({"release"})
    for _ in range(5):
        assert (await door.try_in(password="right")).status == 200
    assert LoginThrottleFailed(step="release", detail="gone") in door.events
    assert (await door.try_in(password="right")).status == 429


async def test_a_refusal_is_told_with_the_limits_it_reached(door: Door) -> None:
    """And when an attempt is allowed again; no name, no address, no password."""
    for _ in range(5):
        await door.try_in()
    door.events.clear()
    assert (await door.try_in()).header("retry-after") == "300"
    assert door.events == [LoginThrottled(limits=("pair",), wait=300)]


async def test_an_address_may_not_try_many_names(door: Door) -> None:
    """50 failures from one address, then it is refused; another is not."""
    for n in range(50):
        assert (await door.try_in(f"user{n}")).status == 400
    assert (await door.try_in("alice", "right")).status == 429
    assert (await door.try_in("alice", "right", address=HOME)).status == 200


@pytest.mark.parametrize(
    "name", ["Alice", " alice ", "ALICE", "ａｌｉｃｅ", "alice\u00a0", "\u2003aLiCe"]
)
async def test_names_that_look_alike_count_together(door: Door, name: str) -> None:
    """NFKC, case folding, space: a guesser gets no further tries by writing a name otherwise."""
    for _ in range(5):
        assert (await door.try_in("alice")).status == 400
    assert (await door.try_in(name)).status == 429


async def test_a_locked_name_is_refused_whatever_the_password(door: Door) -> None:
    """From everywhere, for an hour, unless the device is known."""
    await door.lock()
    asked = len(door.asked)
    reply = await door.try_in(password="right", address=HOME)
    assert reply.status == 429
    assert 1 <= int(reply.header("retry-after") or 0) <= 3600
    assert len(door.asked) == asked
    assert (await door.try_in("bob", "right", address=HOME)).status == 200


async def test_d14_a_stranger_who_locks_a_name_does_not_lock_its_owner_out(door: Door) -> None:
    """The owner's device signs in; in the body and in a cookie."""
    token = await door.device()
    await door.lock()
    reply = await door.try_in("alice", "right", address=HOME, device_token=token)
    assert reply.status == 200
    assert reply.json["device_token"] != ""
    cookie = (b"cookie", f"__Host-refresh-device={token}".encode())
    reply = await door.try_in("alice", "right", COOKIE, SAME, cookie, address=HOME)
    assert reply.status == 200


async def test_d14_a_device_token_of_another_name_opens_nothing(door: Door) -> None:
    """500 guesses from 500 addresses at one name: 100 are asked about, with whatever token."""
    bobs = await door.device("bob")
    door.asked.clear()
    statuses = [
        (await door.try_in(address=f"203.0.{n // 250}.{n % 250}", device_token=bobs)).status
        for n in range(500)
    ]
    assert statuses == [400] * 100 + [429] * 400
    assert len(door.asked) == 100


async def test_d14_a_device_has_a_limit_of_its_own(door: Door, clock: FakeClock) -> None:
    """Ten failures an hour on it, from however many addresses; they do not count for the name."""
    token = await door.device()
    for n in range(10):
        reply = await door.try_in(address=f"203.0.113.{n}", device_token=token)
        assert reply.status == 400
    locked = await door.try_in(password="right", address=HOME, device_token=token)
    assert locked.status == 429
    for n in range(100):
        assert (await door.try_in(address=f"192.0.2.{n}")).status == 400
    assert (await door.try_in(address="192.0.2.200")).status == 429
    clock.move(3600)
    reply = await door.try_in(password="right", address=HOME, device_token=token)
    assert reply.status == 200


async def test_d14_a_device_skips_the_limit_of_its_name_only(door: Door) -> None:
    """Never the pair's or the address's."""
    token = await door.device()
    for _ in range(5):
        assert (await door.try_in(device_token=token)).status == 400
    assert (await door.try_in(password="right", device_token=token)).status == 429
    assert door.events[-1] == LoginThrottled(limits=("pair",), wait=300)
    for n in range(50):
        assert (await door.try_in(f"user{n}", address="203.0.113.9")).status == 400
    reply = await door.try_in(password="right", device_token=token, address="203.0.113.9")
    assert reply.status == 429
    assert door.events[-1] == LoginThrottled(limits=("address",), wait=300)


async def test_a_device_token_comes_with_a_sign_in_only(door: Door) -> None:
    """No failure and no refresh makes one, and it never travels where scripts read cookies."""
    assert "device_token" not in (await door.try_in()).json
    reply = await door.try_in("alice", "right", COOKIE, SAME, address=HOME)
    assert "device_token" not in reply.json
    cookies = [v.decode() for k, v in reply.messages[0]["headers"] if k == b"set-cookie"]
    (cookie,) = [one for one in cookies if one.startswith("__Host-refresh-device=lqd_")]
    assert {*cookie.split("; ")[1:]} == {
        *("Path=/", "Max-Age=7776000", "Secure", "HttpOnly", "SameSite=Strict")
    }
    pair = (await door.try_in("alice", "right", address=HOME)).json
    refreshed = await door.post("/refresh", {"refresh_token": pair["refresh_token"]})
    assert "device_token" not in refreshed.json


async def test_d14_logout_all_ends_the_device_tokens(door: Door) -> None:
    """And clears the cookie; a sign-out of one session ends none."""
    reply = await door.try_in("alice", "right", address=HOME)
    token, pair = reply.json["device_token"], reply.json
    assert (await door.post("/logout", {"refresh_token": pair["refresh_token"]})).status == 204
    assert await door.sessions.devices.known(token, "alice")
    again = (await door.try_in("alice", "right", address=HOME)).json
    out = await door.post("/logout-all", None, token=again["access_token"])
    assert out.status == 204
    cleared = [v for k, v in out.messages[0]["headers"] if k == b"set-cookie"]
    assert any(v.startswith(b"__Host-refresh-device=;") for v in cleared)
    await door.lock()
    reply = await door.try_in("alice", "right", address=HOME, device_token=token)
    assert reply.status == 429


async def test_a_store_that_cannot_tell_gives_a_sign_in_without_a_device(clock: FakeClock) -> None:
    """The session counts; the event says why the device is not known."""

    class Forgetful(MemoryStore):
        async def devices_ended_at(self, owner: str) -> float:
            raise Unavailable("gone")

    door = Door(clock, store=Forgetful(clock=clock))
    await door.sessions.start()
    reply = await door.try_in("alice", "right")
    assert reply.status == 200
    assert "device_token" not in reply.json
    assert LoginThrottleFailed(step="device", detail="gone") in door.events
    await door.sessions.close()


@pytest.mark.parametrize("address", [None, ("", 0), "127.0.0.1", "127.9.9.9", "::1", "10.1.2.3"])
async def test_nobody_is_counted_by_an_address_that_others_share(
    clock: FakeClock, address: Any
) -> None:
    """No address, loopback or a listed proxy: per_address is off, names and pairs still count."""
    door = Door(clock, throttle=LoginThrottle(proxies=["10.0.0.0/8"]))
    await door.sessions.start()
    for n in range(120):
        assert (await door.try_in(f"user{n}", address=address)).status == 400
    for _ in range(5):
        assert (await door.try_in(address=address)).status == 400
    assert (await door.try_in(address=address)).status == 429
    await door.sessions.close()


async def test_behind_one_address_a_device_counts_for_itself(door: Door) -> None:
    """Strangers behind a proxy that hides addresses cannot lock a known device out by the pair."""
    token = (await door.try_in(password="right", address="127.0.0.1")).json["device_token"]
    for _ in range(5):
        assert (await door.try_in(address="127.0.0.1")).status == 400
    assert (await door.try_in(password="right", address="127.0.0.1")).status == 429
    reply = await door.try_in(password="right", address="127.0.0.1", device_token=token)
    assert reply.status == 200


async def test_d13_ipv6_counts_by_the_network_of_a_subscriber(door: Door) -> None:
    """A /64 is one address: its 2^64 hosts are one guesser's."""
    for n in range(5):
        assert (await door.try_in(address=f"2001:db8:1:2::{n:x}")).status == 400
    assert (await door.try_in(address="2001:db8:1:2:ffff:1:2:3")).status == 429
    assert (await door.try_in(address="2001:db8:1:3::1")).status == 400


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:201", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:127.0.0.1", ""),
        ("::1", ""),
        ("0.0.0.0", ""),  # noqa: S104 - nothing is bound
        ("::", ""),
        ("10.9.9.9", ""),
        ("::ffff:10.9.9.9", ""),
        ("2001:db8:ffff::7", ""),
        ("testclient", ""),
        ("unix:", ""),
        ("192.0.2.1:443", ""),
        ("192.0.2.010", ""),
        ("", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_an_address_stands_for_one_client(host: object, network: str) -> None:
    """Mapped and translated IPv4 is IPv4; what is no address, or shared, is none."""
    proxies = read_networks(["10.0.0.0/8", "2001:db8:ffff::/48"])
    assert client_network(host, proxies) == network


@given(host=st.one_of(st.text(), st.ip_addresses().map(str), st.integers(), st.none()))
def test_whatever_a_server_calls_a_client_is_taken(host: object) -> None:
    """No exception, and a bounded text."""
    assert len(client_network(host, ())) <= 50


def test_networks_that_are_none_are_told_together() -> None:
    """All of them, and a string in the place of a list."""
    with pytest.raises(ConfigurationError, match="nonsense") as caught:
        read_networks(["10.0.0.1/8", "nonsense", "192.0.2.0/24"])
    assert len(caught.value.faults) == 2
    with pytest.raises(ConfigurationError, match="list"):
        read_networks("10.0.0.0/8")


def test_every_unfit_setting_of_a_throttle_is_told(clock: FakeClock) -> None:
    """Together, with the name of each."""
    with pytest.raises(ConfigurationError) as caught:
        LoginThrottle(
            per_pair="often",
            per_device="never",
            device_lifetime=1,
            proxies=["x"],
            storage=object(),  # type: ignore[arg-type]
        )
    text = str(caught.value)
    for name in ("per_pair", "per_device", "device_lifetime", "network", "open_attempts"):
        assert name in text


async def test_a_store_without_counters_names_the_way_out(clock: FakeClock) -> None:
    """A session store of your own need not count; then say where."""

    class Bare(MemoryStore):
        attempts = None  # type: ignore[assignment]

    store = Bare(clock=clock)
    with pytest.raises(ConfigurationError, match="open_attempts"):
        Door(clock, store=store)
    Door(clock, store=store, throttle=None)
    Door(clock, store=store, throttle=LoginThrottle(storage=MemoryAttempts()))


async def test_without_a_throttle_there_are_no_device_tokens(clock: FakeClock) -> None:
    """What is off costs nothing."""
    door = Door(clock, throttle=None)
    await door.sessions.start()
    assert "device_token" not in (await door.try_in("alice", "right")).json
    for _ in range(20):
        assert (await door.try_in()).status == 400
    await door.sessions.close()
