"""Suite: what a token costs that was never seen before, and what a refused one costs."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from linqi import TokenError, VerifiedCache
from linqi_bench import budgets
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import differences, fitting_batch, summarize, time_in_turn
from linqi_bench.tokens import CASES, Case


@pytest.mark.parametrize("name", CASES)
def test_cold_verification(recorder: Recorder, name: str) -> None:
    """Every byte of the token is checked; no cache is asked and nothing is remembered."""
    case = Case.of(name)
    one = case.tokens(1)
    tokens = case.tokens(fitting_batch(case.ours(one, case.verifier(None))))
    recorder.add(_cold(recorder, case, tokens, None, f"cold {name}"))


def test_cold_verification_remembered(recorder: Recorder) -> None:
    """The same with a cache that is full: a miss, the verification, an eviction and an entry."""
    case = Case.of("HS256")
    full = VerifiedCache(max_entries=32)  # 64 tokens in turn: each is evicted before it returns
    recorder.add(_cold(recorder, case, case.tokens(64), full, "cold HS256, into a full cache"))
    assert full.info().hits == 0


def test_garbage_refused(recorder: Recorder, benchmark: Any) -> None:
    """Tokens that are wrong in form or names, so that no signature needs checking."""
    case = Case.of("ES256")
    verify = case.verifier(VerifiedCache()).verify
    good = case.tokens(1)[0]
    header, payload, signature = good.split(b".")
    other = Case.of("ES384").tokens(1)[0]
    garbage = [
        secrets.token_urlsafe(len(good) * 3 // 4).encode(),
        b".".join((payload, payload, signature)),
        b".".join((header, payload[: len(payload) // 8 * 4], signature)),
        b".".join((header, payload, signature, signature, signature)),
        good[:-1],
        other,
        good.replace(b".", b" "),
        good + b"=",
    ] * 8

    def block() -> None:
        for token in garbage:
            try:
                verify(token)
            except TokenError:
                continue
            raise AssertionError("garbage was accepted")

    sample = run_block(benchmark, block, len(garbage))
    recorder.add(
        Figure(
            group="verification",
            name="garbage refused before any signature check",
            unit="us",
            sample=sample,
            total=sample.median,
        )
    )


def _cold(
    recorder: Recorder, case: Case, tokens: list[bytes], cache: VerifiedCache | None, name: str
) -> Figure:
    verifier = case.verifier(cache)
    blocks = [case.raw(tokens), case.ours(tokens, verifier)]
    raw, ours = time_in_turn(blocks, len(tokens), recorder.seconds)
    # Not in the same turns: it would push our code out of the processor's caches, 2 to 4 us.
    (pyjwt,) = time_in_turn([case.pyjwt(tokens)], len(tokens), recorder.seconds / 4)
    total = summarize(ours)
    return Figure(
        group="verification",
        name=name,
        unit="us",
        sample=differences(ours, raw),
        budget=budgets.COLD_OVER_RAW,
        spread=total.spread,
        total=total.median,
        raw=summarize(raw).median,
        raw_is="cryptography's check of the same bytes",
        pyjwt=summarize(pyjwt).median,
        details={"token_bytes": len(tokens[0])},
    )
