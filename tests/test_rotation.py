"""Rotation: a key is published before it signs, and stays until its last token has expired."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clock import FakeClock
from linqi import ConfigurationError, Key, KeyFile, KeySet, Signer, Verifier, rotate
from linqi.cli import main
from linqi.errors import InvalidKey, UnknownKey
from linqi.events import Event, KeyFileNotRead, KeyFileRead

KEYS = [Key.generate("ES256", kid=f"k{n}") for n in range(4)]


def test_a_new_key_is_published_before_it_signs(clock: FakeClock) -> None:
    """It verifies at once; the old key signs until the lead is over."""
    done = rotate(KEYS[:1], KEYS[1], clock.now, lead=900, token_lifetime=600)
    keys = KeySet(done.keys)
    assert [jwk["kid"] for jwk in keys.public_jwks(clock.now)["keys"]] == ["k0", "k1"]
    assert keys.signing_key(clock.now + 899.9).kid == "k0"
    assert keys.signing_key(clock.now + 900).kid == "k1"
    assert done.signs_from == clock.now + 900


def test_an_old_key_stays_published_until_its_last_token_expired(clock: FakeClock) -> None:
    """It stops signing at the lead; a token of that second is valid for its whole lifetime."""
    done = rotate(KEYS[:1], KEYS[1], clock.now, lead=900, token_lifetime=600)
    keys = KeySet(done.keys)
    assert done.published_until >= clock.now + 900 + 600
    before = keys.public_jwks(done.published_until - 0.1)["keys"]
    after = keys.public_jwks(done.published_until)["keys"]
    assert ([jwk["kid"] for jwk in before], [jwk["kid"] for jwk in after]) == (["k0", "k1"], ["k1"])


def test_no_rotation_begins_before_the_last_one_signs(clock: FakeClock) -> None:
    """Otherwise a key could sign before verifiers had the time to fetch it."""
    done = rotate(KEYS[:1], KEYS[1], clock.now, lead=900, token_lifetime=600)
    with pytest.raises(InvalidKey, match=r"'k1' was rotated in and signs in 900 s"):
        rotate(done.keys, KEYS[2], clock.now, lead=0, token_lifetime=600)
    clock.move(900)
    assert len(rotate(done.keys, KEYS[2], clock.now, lead=0, token_lifetime=600).keys) == 3


def test_keys_past_their_time_are_dropped_at_the_next_rotation(clock: FakeClock) -> None:
    """The file does not grow for ever, and the removed ids are reported."""
    first = rotate(KEYS[:1], KEYS[1], clock.now, lead=60, token_lifetime=600)
    clock.now = first.published_until
    second = rotate(first.keys, KEYS[2], clock.now, lead=60, token_lifetime=600)
    assert second.dropped == ("k0",)
    assert [key.kid for key in second.keys] == ["k1", "k2"]


def test_a_key_that_only_verifies_is_kept_as_it_is(clock: FakeClock) -> None:
    """A partner's public key in the file does not sign, so a rotation does not end it."""
    done = rotate([KEYS[3].public_half(), KEYS[0]], KEYS[1], clock.now, lead=60, token_lifetime=600)
    assert done.keys[0].published_until is None


@pytest.mark.parametrize(("lead", "life"), [(-1, 600), (0, 0), (float("nan"), 600), (60, 1e9)])
def test_leads_and_lifetimes_have_bounds(lead: float, life: float) -> None:
    """Unusable numbers are refused by name."""
    with pytest.raises(ConfigurationError, match=r"lead|token_lifetime"):
        rotate(KEYS[:1], KEYS[1], 0, lead=lead, token_lifetime=life)


@given(
    leads=st.lists(st.floats(0, 3600), min_size=1, max_size=5),
    life=st.floats(1, 3600),
    gaps=st.lists(st.floats(0, 7200), min_size=5, max_size=5),
)
def test_every_token_verifies_by_a_published_key_for_its_whole_life(
    leads: list[float], life: float, gaps: list[float]
) -> None:
    """For any rotations: a key that signs at t is published from t - lead to t + life."""
    now, keys, published_from = 1e9, (KEYS[0],), {"k0": 0.0}
    pool = iter([Key.from_jwk(KEYS[1].public_jwk() | {"kid": f"n{n}"}) for n in range(5)])
    private = KEYS[1].private_jwk()
    for lead, gap in zip(leads, gaps, strict=False):
        now = max(now + gap, keys[-1].signs_from)
        new = Key.from_jwk(private | {"kid": next(pool).kid})
        done = rotate(keys, new, now, lead=lead, token_lifetime=life)
        published_from[new.kid] = now
        keys = done.keys
        ring = KeySet(keys)
        for at in (now, done.signs_from - 0.001, done.signs_from):
            signing = ring.signing_key(at)
            shown = {jwk["kid"] for jwk in ring.public_jwks(at + life - 0.01)["keys"]}
            assert signing.kid in shown
        assert done.signs_from - published_from[new.kid] >= lead - 1e-6


def test_keygen_rotates_the_file_and_what_is_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The private file keeps its mode, the public file gets both keys, the timeline is printed."""
    out, public = tmp_path / "keys.json", tmp_path / "jwks.json"
    common = ["keygen", "--out", str(out), "--public-out", str(public)]
    assert main([*common, "--kid", "a"]) == 0
    assert main([*common, "--rotate", "--kid", "b", "--lead-seconds", "60"]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [jwk["kid"] for jwk in json.loads(public.read_text())["keys"]] == ["a", "b"]
    assert "d" not in json.loads(public.read_text())["keys"][1]
    keys = KeySet.load(out)
    assert keys.keys[1].signs_from - os.stat(out).st_mtime == pytest.approx(60, abs=5)
    assert keys.signing_key(os.stat(out).st_mtime).kid == "a"
    said = capsys.readouterr().err
    assert "b (ES256) is published now and signs from 20" in said
    assert "a signs until then and stays published until 20" in said


def test_keygen_refuses_what_would_break_a_running_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second rotation too early, removal of the only key, secrets among public keys."""
    out = tmp_path / "keys.json"
    common = ["keygen", "--out", str(out)]
    assert main([*common, "--kid", "a"]) == 0
    before = out.read_bytes()
    assert main([*common, "--remove", "a"]) == 2
    assert main([*common, "--remove", "b"]) == 2
    assert main([*common, "--rotate", "--alg", "HS256"]) == 2
    assert main([*common, "--rotate", "--kid", "a"]) == 2
    assert main([*common, "--rotate", "--lead-seconds", "-1"]) == 2
    assert out.read_bytes() == before
    assert main([*common, "--rotate"]) == 0
    assert main([*common, "--rotate"]) == 2
    assert main(["keygen", "--out", str(tmp_path / "none"), "--rotate"]) == 2
    assert "rotate again after that" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "is_there"),
    [
        ("same", False),
        ("same", True),
        ("dotted", False),
        ("dotted", True),
        ("symbolic", False),
        ("symbolic", True),
        ("hard", True),
        ("folder", False),
        ("folder", True),
        ("case", False),
    ],
)
def test_keygen_keeps_the_private_and_the_public_file_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, is_there: bool
) -> None:
    """One file under two names would lose the private key: refused before anything is written."""
    out = tmp_path / "k.json"
    common = ["keygen", "--out", str(out), "--public-out"]
    if is_there:
        assert main([*common[:-1], "--kid", "a"]) == 0
    other = {
        "same": out,
        "dotted": tmp_path / "nowhere" / ".." / "k.json",
        "folder": tmp_path / "alias" / "k.json",
        "case": tmp_path / "K.json",
    }.get(kind, tmp_path / "other.json")
    if kind == "symbolic":
        other.symlink_to(out)
    elif kind == "hard":
        other.hardlink_to(out)
    elif kind == "folder":
        (tmp_path / "alias").symlink_to(tmp_path)
    before = out.read_bytes() if is_there else None
    names = sorted(path.name for path in tmp_path.iterdir())
    for change in ([], ["--rotate"], ["--remove", "a"]):
        assert main([*common, str(other), *change]) == 2
        assert "are the same file" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert (out.read_bytes() if out.exists() else None) == before


def test_keygen_removes_a_key_at_once(tmp_path: Path) -> None:
    """After a theft: the key is removed at once, and a pending one signs early."""
    out = tmp_path / "keys.json"
    assert main(["keygen", "--out", str(out), "--kid", "a"]) == 0
    assert main(["keygen", "--out", str(out), "--rotate", "--kid", "b"]) == 0
    assert main(["keygen", "--out", str(out), "--remove", "a"]) == 0
    assert KeySet.load(out).signing_key(0).kid == "b"


def test_secrets_are_rotated_too(tmp_path: Path) -> None:
    """All HMAC workers need the new key; none of it is published."""
    out = tmp_path / "keys.json"
    assert main(["keygen", "--alg", "HS256", "--out", str(out)]) == 0
    assert main(["keygen", "--out", str(out), "--rotate"]) == 0
    assert [key.alg for key in KeySet.load(out).keys] == ["HS256", "HS256"]


async def test_running_workers_follow_the_key_file(tmp_path: Path, clock: FakeClock) -> None:
    """A rotation in the file reaches the verifier and the signer without a restart."""
    path, events = tmp_path / "keys.json", list[Event]()
    KeySet(KEYS[:1]).save(path)
    file = KeyFile(path, hooks=[events.append])
    signer = Signer(file.keys, issuer="https://own", audience="api", clock=clock)
    verifier = Verifier.trusting(signer, clock=clock)
    old = signer.sign({"exp": clock.now + 2000, "sub": "alice"})
    verifier.verify(old)
    KeySet(rotate(KEYS[:1], KEYS[1], clock.now, lead=60, token_lifetime=600).keys).save(path)
    await file.read()
    assert events == [KeyFileRead(path=str(path), keys=2, added=("k1",), removed=())]
    clock.move(60)
    new = signer.sign({"exp": clock.now + 600, "sub": "alice"})
    assert [verifier.verify(token).key_id for token in (old, new)] == ["k0", "k1"]
    KeySet([KEYS[1]]).save(path)
    await file.read()
    with pytest.raises(UnknownKey):
        verifier.verify(old)  # K3: although it was cached


async def test_a_key_file_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    """Missing, damaged, empty, or public instead of private: the keys stay, and it is reported."""
    path, events = tmp_path / "keys.json", list[Event]()
    KeySet(KEYS[:1]).save(path)
    file = KeyFile(path, hooks=[events.append])
    path.unlink()
    await file.read()
    await file.read()  # reported once
    for content in ("{", '{"keys": []}', json.dumps(KeySet(KEYS[:1]).public_jwks())):
        path.write_text(content)
        await file.read()
    assert [type(event) for event in events] == [KeyFileNotRead] * 4
    assert file.keys.signing_key().kid == "k0"
    KeySet(KEYS[1:2]).save(path)
    await file.read()
    assert file.keys.signing_key().kid == "k1"


async def test_a_key_file_is_looked_at_in_its_rhythm_until_closed(tmp_path: Path) -> None:
    """The service sleeps `check_seconds` between two checks; closing it ends that."""
    path, looks = tmp_path / "keys.json", list[float]()
    KeySet(KEYS[:1]).save(path)
    turn = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        looks.append(seconds)
        await turn.acquire()

    file = KeyFile(path, check_seconds=2, sleep=sleep)
    await file.start()
    KeySet(KEYS[1:2]).save(path)
    turn.release()
    while len(looks) < 2:
        await asyncio.sleep(0)
    assert file.keys.keys[0].kid == "k1"
    await file.close()
    await file.close()
    assert looks == [2, 2]
    with pytest.raises(ConfigurationError, match="check_seconds"):
        KeyFile(path, check_seconds=0)
