"""Suite: what sessions cost without a store's round trip."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import tracemalloc
from typing import Any, Final

from linqi import Key, MemoryStore, Revocation, Revocations, VerifiedCache, Verifier
from linqi.errors import RefreshRefused
from linqi.sessions.refresh_token import RefreshTokens, new_session_id
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import TimedBlocks, differences, summarize, time_in_turn
from linqi_bench.tokens import AUDIENCE, ISSUER, Case

_CALLS: Final = 200
_REVOKED: Final = 100_000


def test_forged_refresh_token(recorder: Recorder, benchmark: Any) -> None:
    """Tokens with everything right but the MAC: the dearest kind to refuse."""
    tokens = RefreshTokens(Key.generate("HS256"), issuer=ISSUER)
    good = tokens.make(new_session_id("alice"), 7, time.time() + 900)
    forged = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")

    def refuse() -> None:
        for _ in range(_CALLS):
            with contextlib.suppress(RefreshRefused):
                tokens.check(forged)

    sample = run_block(benchmark, "sessions.forged", refuse, _CALLS)
    recorder.add(
        Figure(
            id="sessions.forged",
            name="forged refresh token refused",
            unit="us",
            value=sample,
        )
    )


def test_revocation_on_hit(recorder: Recorder) -> None:
    """Cached tokens, with 100,000 sessions revoked that are not theirs, and without looking."""
    case = Case.of("HS256")
    tokens = case.tokens(_CALLS)
    known = Revocations(MemoryStore())
    with asyncio.Runner() as runner:
        runner.run(known.start())
        known.add(_revocations())
        blocks = []
        for options in ({}, {"is_revoked": known.is_revoked}):
            cache = VerifiedCache(lifetime=3600)
            verifier = Verifier(case.verifier(None).issuers, cache=cache, **options)  # type: ignore[arg-type]
            blocks.append(case.ours(tokens, verifier))
        without, with_it = time_in_turn(blocks, _CALLS, min(4.0, recorder.seconds))
        runner.run(known.close())
    recorder.add(
        Figure(
            id="sessions.revocation_on_hit",
            name="hit with revocation on",
            unit="us",
            value=summarize(with_it),
            over=differences(with_it, without),
            raw=summarize(without).median,
            raw_is="the same without revocation",
            details={"audience_characters": len(AUDIENCE)},
        )
    )


def test_memory_of_revoked_sessions(recorder: Recorder) -> None:
    """What 100,000 revoked sessions take in every worker."""
    known = Revocations(MemoryStore())
    revocations = _revocations()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    known.add(revocations)
    taken = (tracemalloc.get_traced_memory()[0] - before) / _REVOKED
    tracemalloc.stop()
    recorder.add(
        Figure(
            id="sessions.bytes_per_revoked",
            name="memory of one revoked session",
            unit="bytes",
            value=TimedBlocks.single(taken),
        )
    )


def _revocations() -> list[Revocation]:
    until = time.time() + 1200
    return [
        Revocation(kind="session", value=secrets.token_urlsafe(22), at=0, until=until)
        for _ in range(_REVOKED)
    ]
