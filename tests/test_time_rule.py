"""The one rule of clocks: what each of them decides, and that the documents have its numbers."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from clock import FakeClock
from linqi import (
    Key,
    MemoryStore,
    RenewalSettings,
    Revocations,
    Sessions,
    SessionSettings,
    Signer,
    SQLiteStore,
    Verifier,
)
from linqi.errors import RefreshRefused, TokenExpired, TokenNotYetValid, TokenRevoked
from linqi.jose import rotation
from linqi.jose.claims import LONGEST_LEEWAY
from linqi.sessions import clock_check, purger
from linqi.sessions.store import SessionStore
from linqi.stores import valkey_stream

DOCS = Path(__file__).parent.parent / "docs"
KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")


def numbers_of(what: str) -> list[float]:
    """Return the seconds that the row about `what` names in the table of the guarantees."""
    page = (DOCS / "explanation" / "guarantees.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {what}")]
    return [float(number.replace(",", "")) for number in re.findall(r"\b([\d,]+) s\b", row)]


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("`exp`, `nbf`, `iat`", [0, LONGEST_LEEWAY]),
        ("refresh tokens", []),
        ("the worker's clock and", [clock_check._MOST_SECONDS, purger._CHECK_SECONDS]),
        ("how long a revocation", [LONGEST_LEEWAY]),
        ("where the feed of Valkey", [valkey_stream.SLACK_SECONDS]),
        ("how long an old key", [rotation._CLOCK_SLACK]),
        ("the age of a key set", [LONGEST_LEEWAY]),
    ],
)
def test_the_rule_has_the_numbers_of_the_code(what: str, numbers: list[float]) -> None:
    """Each row of the table names the constants that decide."""
    assert numbers_of(what) == [float(number) for number in numbers]
    assert Verifier.RANGES["leeway"].most == LONGEST_LEEWAY


def test_other_pages_refer_to_the_rule() -> None:
    """No second page says by how much clocks may differ."""
    for page in sorted(DOCS.rglob("*.md")):
        assert not re.search(r"clocks (must )?agree to (within )?a", page.read_text()), page.name
    for name in ("stores", "rotation", "verification"):
        assert "guarantees.md#clocks" in (DOCS / "guides" / f"{name}.md").read_text(), name


@pytest.mark.parametrize("leeway", [0, 5, 300])
def test_the_leeway_is_the_tolerance_of_the_worker_that_checks(leeway: float) -> None:
    """By exactly so much another host's clock may be ahead, or behind."""
    signing, checking = FakeClock(1_800_000_000.0), FakeClock(1_800_000_000.0)
    signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=signing)
    verifier = Verifier.trusting(signer, leeway=leeway, clock=checking, cache=None)
    token = signer.sign({"sub": "a", "iat": int(signing()), "exp": int(signing()) + 900})
    checking.move(-leeway)
    verifier.verify(token)
    checking.move(-0.1)
    with pytest.raises(TokenNotYetValid):
        verifier.verify(token)
    checking.now = signing.now + 899.9 + leeway
    verifier.verify(token)
    checking.move(0.1)
    with pytest.raises(TokenExpired):
        verifier.verify(token)


def worker(store: SessionStore, clock: FakeClock, moment: FakeClock) -> tuple[Sessions, Verifier]:
    """Return one worker's sessions and verifier, by its own clocks."""
    signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=clock)
    revocations = Revocations(store, clock=clock, monotonic=moment, stale_after=float("inf"))
    sessions = Sessions(
        store,
        signer,
        SECRET,
        access=RenewalSettings(lifetime=900, buffer=300),
        revocations=revocations,
        hooks=[],
        clock=clock,
    )
    verifier = Verifier.trusting(
        signer, is_revoked=revocations.is_revoked, clock=clock, leeway=300, cache=None
    )
    return sessions, verifier


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_k7_a_worker_that_starts_with_its_clock_ahead_reads_all_revocations(
    kind: str, clock: FakeClock, tmp_path: Path
) -> None:
    """It knows them when its clock is set right, because the store's clock says what is over."""
    store: Any = MemoryStore(clock=clock)
    if kind == "sqlite":
        store = SQLiteStore(tmp_path / "s.db", clock=clock)
    one, _ = worker(store, clock, FakeClock(1000.0))
    await one.start()
    pair = await one.sign_in("bob")
    await one.revoke(pair.session_id)
    wrong = FakeClock(clock.now + 7200)
    two, verifier = worker(store, wrong, FakeClock(1000.0))
    await two.start()
    wrong.now = clock.now
    with pytest.raises(TokenRevoked):
        verifier.verify(pair.access_token)
    await two.close()
    await one.close()


async def test_k7_a_worker_whose_clock_is_ahead_forgets_no_revocation(clock: FakeClock) -> None:
    """Its own tokens live on by its clock, so by its clock the revocation would end before them."""
    store, moment = MemoryStore(clock=clock), FakeClock(1000.0)
    ahead = FakeClock(clock.now + 400)
    one, _ = worker(store, clock, FakeClock(1000.0))
    two, verifier = worker(store, ahead, moment)
    await one.start()
    await two.start()
    pair = await two.sign_in("bob")
    born = int(ahead())
    token = two.signer.sign({"sub": "bob", "sid": pair.session_id, "iat": born, "exp": born + 900})
    await one.revoke(pair.session_id)
    while not two.revocations.state().sessions:
        await _turn()
    for _ in range(59):
        for each in (clock, ahead, moment):
            each.move(15)
        for _ in range(130):
            two.revocations._known.sweep(ahead(), moment())
    with pytest.raises(TokenRevoked):
        verifier.verify(token)
    await two.close()
    await one.close()


@pytest.mark.parametrize("behind", [400, 7200])
async def test_k7_a_worker_whose_clock_is_behind_revokes_for_long_enough(
    clock: FakeClock, behind: float
) -> None:
    """The end is counted from the store's clock: others would take it for over."""
    store = MemoryStore(clock=clock)
    one, _ = worker(store, FakeClock(clock.now - behind), FakeClock(1000.0))
    two, verifier = worker(store, clock, FakeClock(1000.0))
    await one.start()
    await two.start()
    pair = await two.sign_in("bob")
    await one.revoke(pair.session_id)
    (known,) = [r for r in store._revocations.values() if r.kind == "session"]
    assert known.until >= clock.now + 900 + LONGEST_LEEWAY
    while not two.revocations.state().sessions:
        await _turn()
    with pytest.raises(TokenRevoked):
        verifier.verify(pair.access_token)
    await two.close()
    await one.close()


async def _turn() -> None:
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("behind", [5, 400])
async def test_after_a_failover_to_a_clock_that_is_behind(
    clock: FakeClock, tmp_path: Path, behind: float
) -> None:
    """The grace of earlier rotations lasts longer by the difference, and no client signs out.

    A spent token that comes after that is found as reuse.
    """
    store = SQLiteStore(tmp_path / "s.db", clock=clock)
    settings = SessionSettings(grace=10, recover_seconds=0)
    signer = Signer(KEY, issuer="https://shop.example", audience="shop", clock=clock)
    sessions = Sessions(store, signer, SECRET, settings=settings, hooks=[], clock=clock)
    await sessions.start()
    stolen = await sessions.sign_in("bob")
    pair = await sessions.refresh(stolen.refresh_token)
    clock.move(-behind)
    clock.move(9)
    again = await sessions.refresh(stolen.refresh_token)
    assert again.refresh_token == pair.refresh_token
    clock.move(behind)
    assert (await sessions.refresh(stolen.refresh_token)).refresh_token == pair.refresh_token
    clock.move(1.1)
    honest = await sessions.refresh(pair.refresh_token)
    clock.move(-behind)
    honest = await sessions.refresh(honest.refresh_token)
    with pytest.raises(RefreshRefused, match="revoked"):
        await sessions.refresh(stolen.refresh_token)
    await sessions.close()
