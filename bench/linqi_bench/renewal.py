"""Suite: the cost of the renewal decision, and of renewing one token for many requests."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import pytest

from linqi import Issued, RenewalSettings, SlidingRenewal, VerifiedCache
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import TimedBlocks, summarize, time_in_turn
from linqi_bench.tokens import QUICK_CASES, Case

_TOKENS: Final = 100
_PARALLEL: Final = 500
_MINTED: Final = 16
_SETTINGS: Final = RenewalSettings()


def test_decision_on_fresh_token(recorder: Recorder, benchmark: Any) -> None:
    """A token with more than the buffer left: the decision for nearly every request."""
    case = Case.of("HS256")
    verifier = case.verifier(None)
    verifier.schedule(_SETTINGS)
    fresh = [verifier.verify(token) for token in case.tokens(_TOKENS)]
    decide, now = SlidingRenewal(case.signer).decide, time.time()

    def block() -> None:
        for verified in fresh:
            decide(verified, now)

    sample = run_block(benchmark, "renewal.decision", block, _TOKENS)
    recorder.add(
        Figure(
            id="renewal.decision",
            name="decision on a fresh token",
            unit="us",
            value=sample,
        )
    )


def test_coalescing(recorder: Recorder) -> None:
    """500 requests with one near-expiry token at once, round after round."""
    rounds = max(5, round(recorder.seconds * 10))
    taken, signatures = asyncio.run(_renew_for_many(rounds))
    sample = summarize(taken)
    recorder.add(
        Figure(
            id="renewal.coalesced.signatures",
            name="signatures for 500 requests with one token",
            unit="signatures",
            value=TimedBlocks.single(signatures),
        )
    )
    recorder.add(
        Figure(
            id="renewal.coalesced.request",
            name="renewal shared by 500 requests, per request",
            unit="us",
            value=sample,
        )
    )


@pytest.mark.parametrize("name", QUICK_CASES)
def test_mint(recorder: Recorder, name: str) -> None:
    """A successor for each near-expiry token: decision, claims, signature, memo."""
    case, settings, now = Case.of(name), recorder.settings.renewal, time.time()
    starting = SlidingRenewal(case.signer, settings, clock=lambda: now)
    begun = [starting.start(f"user-{number}") for number in range(_MINTED)]
    verifier = case.verifier(None)
    verifier.schedule(settings)
    verified = [verifier.verify(issued.token) for issued in begun]
    near = min(issued.expires_at for issued in begun) - settings.buffer / 2

    async def mint() -> None:
        renewal = SlidingRenewal(case.signer, settings, sign_off_loop=False, clock=lambda: near)
        for each in verified:
            await renewal.renew(each)
        assert renewal.counts.signatures > 0

    with asyncio.Runner() as runner:
        (times,) = time_in_turn([lambda: runner.run(mint())], _MINTED, recorder.seconds / 3)
    recorder.add(
        Figure(
            id=f"renewal.mint.{name}",
            name=f"successor of a near-expiry token, {name}",
            unit="us",
            value=summarize(times),
        )
    )


async def _renew_for_many(rounds: int) -> tuple[list[float], float]:
    """Return microseconds per request of each round, and signatures per round."""
    case = Case.of("ES256")
    now = time.time()
    starting = SlidingRenewal(case.signer, _SETTINGS, clock=lambda: now)
    begun = [starting.start(f"user-{number}") for number in range(rounds)]
    verifier = case.verifier(VerifiedCache())
    verifier.schedule(_SETTINGS)
    verified = [verifier.verify(issued.token) for issued in begun]
    taken = []
    signed = case.signer.signatures
    for issued, known in zip(begun, verified, strict=True):
        near = issued.expires_at - _SETTINGS.buffer / 2
        renewal = SlidingRenewal(case.signer, _SETTINGS, clock=lambda near=near: near)  # type: ignore[misc]
        start = time.perf_counter()
        successors = await asyncio.gather(*(renewal.renew(known) for _ in range(_PARALLEL)))
        taken.append((time.perf_counter() - start) * 1e6 / _PARALLEL)
        assert _one_of(successors) is not None
    return taken, (case.signer.signatures - signed) / rounds


def _one_of(successors: list[Issued | None]) -> Issued | None:
    """Return the one successor that all requests got."""
    assert len({issued.token if issued is not None else None for issued in successors}) == 1
    return successors[0]
