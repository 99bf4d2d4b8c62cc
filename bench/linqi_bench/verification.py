"""Suite: the cost of a token that is verified for the first time, and of a refused one."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from linqi import TokenError, VerifiedCache
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import batch_size, differences, summarize, time_in_turn
from linqi_bench.tokens import CASES, QUICK_CASES, Block, Case


@pytest.mark.parametrize("name", CASES)
def test_cold_verification(recorder: Recorder, name: str) -> None:
    """Every byte of the token is checked; without a cache."""
    if recorder.is_quick and name not in QUICK_CASES:
        pytest.skip("a quick run leaves out the rarer algorithms")
    case = Case.of(name)
    one = case.tokens(1)
    tokens = case.tokens(batch_size(case.ours(one, case.verifier(None))))
    recorder.add(_cold(recorder, case, tokens, None, f"verify.cold.{name}", f"cold {name}"))


def test_cold_verification_remembered(recorder: Recorder) -> None:
    """The same with a cache that is full: a miss, the verification, an eviction and an entry."""
    case = Case.of("HS256")
    full = VerifiedCache(max_entries=32)  # 64 tokens in turn: each is evicted before it returns
    name = "cold HS256, into a full cache"
    recorder.add(_cold(recorder, case, case.tokens(64), full, "verify.evicting.HS256", name))
    assert full.info().hits == 0


def test_garbage_refused(recorder: Recorder, benchmark: Any) -> None:
    """Tokens that are wrong in form or names, so that no signature needs checking."""
    case = Case.of("ES256")
    block = refusing(case.verifier(VerifiedCache()).verify, garbage_like(case.tokens(1)[0]) * 8)
    sample = run_block(benchmark, "verify.garbage", block, 64)
    recorder.add(
        Figure(
            id="verify.garbage",
            name="garbage refused before any signature check",
            unit="us",
            value=sample,
        )
    )


def garbage_like(good: bytes) -> list[bytes]:
    """Return eight tokens about as long as `good`, each wrong in another way."""
    header, payload, signature = good.split(b".")
    return [
        secrets.token_urlsafe(len(good) * 3 // 4).encode(),
        b".".join((payload, payload, signature)),
        b".".join((header, payload[: len(payload) // 8 * 4], signature)),
        b".".join((header, payload, signature, signature, signature)),
        good[:-1],
        Case.of("ES384").tokens(1)[0],
        good.replace(b".", b" "),
        good + b"=",
    ]


def refusing(verify: Any, tokens: list[bytes]) -> Block:
    """Return a block in which each of `tokens` is refused."""

    def block() -> None:
        for token in tokens:
            try:
                verify(token)
            except TokenError:
                continue
            raise AssertionError("garbage was accepted")

    return block


def _cold(
    recorder: Recorder,
    case: Case,
    tokens: list[bytes],
    cache: VerifiedCache | None,
    figure_id: str,
    name: str,
) -> Figure:
    """Time the call, the bare check of the signature, and that check after other work.

    Alone in a loop the check finds its code and its branches in the processor's caches. In a server
    it does not, so the baseline is the check after other work: the verification of an HS256 token.
    """
    other = Case.of("HS256")
    others = other.tokens(len(tokens))
    interleaved = case.raw_between(tokens, other.verifier(None).verify, others)
    blocks = [
        case.raw(tokens),
        case.ours(tokens, case.verifier(cache)),
        other.ours(others, other.verifier(None)),
        interleaved,
    ]
    raw, ours, between, both = time_in_turn(blocks, len(tokens), recorder.seconds)
    # Not in the same turns: it would push our code out of the processor's caches, 2 to 4 us.
    (pyjwt,) = time_in_turn([case.pyjwt(tokens)], len(tokens), recorder.seconds / 4)
    base = [a - b for a, b in zip(both, between, strict=True)]
    alone = summarize(raw).median
    return Figure(
        id=figure_id,
        name=name,
        unit="us",
        value=summarize(ours),
        over=differences(ours, base),
        raw=summarize(base).median,
        raw_is="cryptography's check of the same bytes, after other work",
        pyjwt=summarize(pyjwt).median,
        details={
            "token_bytes": len(tokens[0]),
            "raw_alone": alone,
            "over_raw_alone": differences(ours, raw).median,
        },
    )
