"""Device tokens: what makes one good, for whom, and what ends it."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import FakeClock
from linqi import Key, Sessions, Signer
from linqi.sessions.device_token import (
    LONGEST_DEVICE_SECONDS,
    DeviceTokens,
    PresentedDevice,
    new_device_id,
    owner_of,
)
from linqi.sessions.devices import Devices
from linqi.sessions.refresh_token import RefreshTokens, new_session_id
from linqi.sessions.store import SessionStore

ISSUER = "https://shop.example"
SECRET = Key.generate("HS256")
TOKENS = DeviceTokens(SECRET, issuer=ISSUER)
DAY = 86_400.0


def device(**changes: object) -> PresentedDevice:
    """Return the content of a token."""
    said = {
        "device_id": "0f" * 16,
        "owner": owner_of("alice-1"),
        "ended_at": 1_799_999_999.123456,
        "expires_at": 1_800_000_000.0,
    }
    return PresentedDevice(**said | changes)  # type: ignore[arg-type]


def test_a_token_says_what_it_was_made_of() -> None:
    """It holds no name and no subject in clear, and is short enough for a cookie."""
    token = TOKENS.make("alice", device())
    assert TOKENS.check(token, "alice") == device()
    assert token.startswith("lqd_")
    assert len(token) < 200
    assert "alice" not in repr(TOKENS)


@pytest.mark.parametrize("name", ["bob", "alic", "alicee", "ALICE", "ａｌｉｃｅ", "al\0ice", ""])
def test_a_token_of_one_name_is_none_of_another(name: str) -> None:
    """Also of a name that some applications take for another account: case and width count."""
    assert TOKENS.check(TOKENS.make("alice", device()), name) is None


@pytest.mark.parametrize(("made", "typed"), [("Zoë", "Zoe\u0308"), ("alice", " alice\t")])
def test_a_name_is_the_same_however_it_is_composed(made: str, typed: str) -> None:
    """NFC and space around: no two accounts differ in these alone."""
    assert TOKENS.check(TOKENS.make(made, device()), typed) == device()


def test_a_token_is_bound_to_issuer_and_secret() -> None:
    """Another deployment's is none of ours, and a retired secret still checks what it made."""
    token = TOKENS.make("alice", device())
    other = Key.generate("HS256")
    assert DeviceTokens(SECRET, issuer="https://other.example").check(token, "alice") is None
    assert DeviceTokens(other, issuer=ISSUER).check(token, "alice") is None
    both = DeviceTokens([SECRET, other], issuer=ISSUER)
    assert both.check(token, "alice") == device()
    assert both.make("alice", device()) != token


def test_device_tokens_and_refresh_tokens_are_no_substitutes() -> None:
    """Their keys are derived for one purpose each: no MAC of one is a MAC of the other."""
    refresh = RefreshTokens(SECRET, issuer=ISSUER)
    token = refresh.make(new_session_id("alice"), 0, 1_800_000_000.0)
    assert TOKENS.check(token, "alice") is None
    assert refresh._secrets.newest != TOKENS._secrets.newest


@given(data=st.data())
def test_no_other_spelling_of_a_token_is_one(data: st.DataObject) -> None:
    """One changed character, whichever, and other alphabets of base64, are nothing of ours."""
    token = TOKENS.make("alice", device(device_id=new_device_id()))
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != token[place]))
    assert TOKENS.check(token[:place] + other + token[place + 1 :], "alice") is None
    if set(token[4:]) & {"-", "_"}:
        assert TOKENS.check("lqd_" + token[4:].replace("-", "+").replace("_", "/"), "alice") is None


@given(text=st.one_of(st.text(), st.binary().map(lambda b: "lqd_" + b.hex())))
def test_hostile_text_is_no_token(text: str) -> None:
    """Whatever is sent, there is no exception and no device."""
    assert TOKENS.check(text, "alice") is None


async def ready() -> None:
    """Do nothing: the store is started."""


@pytest.fixture
def devices(store: SessionStore, clock: FakeClock) -> Devices:
    """Return the devices of one store, for each kind of store."""
    return Devices(store, SECRET, issuer=ISSUER, ready=ready, clock=clock)


async def test_a_device_is_known_until_its_token_expires(
    devices: Devices, clock: FakeClock
) -> None:
    """At the exact second it is not; a token made again keeps the id of the device."""
    subject = secrets.token_hex(8)
    token = await devices.make("alice", subject, lifetime=90 * DAY)
    device_id = await devices.known(token, "alice")
    assert len(device_id) == 32
    clock.move(90 * DAY - 1)
    assert await devices.known(token, "alice") == device_id
    again = await devices.make("alice", subject, lifetime=90 * DAY, device_id=device_id)
    clock.move(1)
    assert await devices.known(token, "alice") == ""
    assert await devices.known(again, "alice") == device_id


async def test_ending_the_devices_of_a_subject_ends_no_others(
    devices: Devices, clock: FakeClock
) -> None:
    """All of the subject's until now, under every name; those made afterwards are good."""
    alice, bob = secrets.token_hex(8), secrets.token_hex(8)
    before = [await devices.make(name, alice, lifetime=DAY) for name in ("alice", "a@x.example")]
    others = await devices.make("bob", bob, lifetime=DAY)
    await devices.end(alice)
    after = await devices.make("alice", alice, lifetime=DAY)
    for token, name in zip(before, ("alice", "a@x.example"), strict=True):
        assert await devices.known(token, name) == ""
    assert await devices.known(others, "bob")
    assert await devices.known(after, "alice")
    await devices.end(alice)  # in the same instant of the clock
    assert await devices.known(after, "alice") == ""


@pytest.mark.parametrize("behind", [-3600.0, -1.0, 0.0, 1.0, 3600.0])
async def test_an_end_holds_whatever_the_clocks_of_workers_say(
    store: SessionStore, clock: FakeClock, behind: float
) -> None:
    """The worker that ends them may be an hour behind the one that made them, or ahead."""
    other = FakeClock(clock.now + behind)
    here = Devices(store, SECRET, issuer=ISSUER, ready=ready, clock=clock)
    there = Devices(store, SECRET, issuer=ISSUER, ready=ready, clock=other)
    subject = secrets.token_hex(8)
    for _ in range(3):
        token = await here.make("alice", subject, lifetime=DAY)
        assert await there.known(token, "alice")
        await there.end(subject)
        assert await here.known(token, "alice") == ""
        clock.move(1)
        other.move(1)


async def test_an_end_is_kept_for_as_long_as_a_token_can_be_good(
    store: SessionStore, devices: Devices, clock: FakeClock
) -> None:
    """Whatever the setting is: 400 days; then the store forgets it, and the token is expired."""
    subject = secrets.token_hex(8)
    token = await devices.make("alice", subject, lifetime=10 * LONGEST_DEVICE_SECONDS)
    await devices.end(subject)
    clock.move(LONGEST_DEVICE_SECONDS - 1)
    await store.purge(clock(), 500)
    assert await store.devices_ended_at(owner_of(subject)) > 0
    assert await devices.known(token, "alice") == ""
    clock.move(2)
    await store.purge(clock(), 500)
    assert await devices.known(token, "alice") == ""


async def test_revoking_all_of_a_subject_ends_its_devices(
    store: SessionStore, clock: FakeClock
) -> None:
    """As at logout-all and after a password change: the kept session's device too."""
    signer = Signer(Key.generate("ES256"), issuer=ISSUER, audience="shop", clock=clock)
    sessions = Sessions(store, signer, SECRET, hooks=[], clock=clock)
    subject = secrets.token_hex(8)
    await sessions.sign_in(subject)
    token = await sessions.devices.make("alice", subject, lifetime=DAY)
    kept = (await sessions.sessions(subject))[0].session_id
    assert await sessions.devices.known(token, "alice")
    await sessions.revoke(kept)
    assert await sessions.devices.known(token, "alice")
    await sessions.revoke_all(subject, kept_session=kept)
    assert await sessions.devices.known(token, "alice") == ""
