"""Suite: what it costs to ask whether a token is near expiry, and to renew one for many at once."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from linqi import Issued, RenewalSettings, SlidingRenewal, VerifiedCache
from linqi_bench import budgets
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import Sample, summarize
from linqi_bench.tokens import Case

_TOKENS: Final = 100
_PARALLEL: Final = 500
_SETTINGS: Final = RenewalSettings()


def test_decision_on_fresh_token(recorder: Recorder, benchmark: Any) -> None:
    """A token with more than the buffer left: the answer that nearly every request gets."""
    case = Case.of("HS256")
    verifier = case.verifier(None)
    fresh = [verifier.verify(token) for token in case.tokens(_TOKENS)]
    decide, now = SlidingRenewal(case.signer).decide, time.time()

    def block() -> None:
        for verified in fresh:
            decide(verified, now)

    sample = run_block(benchmark, block, _TOKENS)
    recorder.add(
        Figure(
            group="renewal",
            name="decision on a fresh token",
            unit="us",
            sample=sample,
            budget=budgets.DECISION,
            total=sample.median,
        )
    )


def test_coalescing(recorder: Recorder) -> None:
    """500 requests with one near-expiry token at once, round after round."""
    rounds = max(5, round(recorder.seconds * 10))
    taken, signatures = asyncio.run(_renew_for_many(rounds))
    sample = summarize(taken)
    recorder.add(
        Figure(
            group="renewal",
            name="signatures for 500 requests with one token",
            unit="signatures",
            sample=Sample(
                median=signatures, low=signatures, high=signatures, spread=0.0, rounds=rounds
            ),
            budget=budgets.SIGNATURES_PER_RENEWAL,
            total=signatures,
        )
    )
    recorder.add(
        Figure(
            group="renewal",
            name="renewal shared by 500 requests, per request",
            unit="us",
            sample=sample,
            total=sample.median,
        )
    )


async def _renew_for_many(rounds: int) -> tuple[list[float], float]:
    """Give microseconds per request of each round, and signatures per round."""
    case = Case.of("ES256")
    now = time.time()
    starting = SlidingRenewal(case.signer, _SETTINGS, clock=lambda: now)
    begun = [starting.start(f"user-{number}") for number in range(rounds)]
    verifier = case.verifier(VerifiedCache())
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
    """Give the one successor that all got."""
    assert len({issued.token if issued is not None else None for issued in successors}) == 1
    return successors[0]
