"""Suite: what a signature costs, which is what a login or a renewal pays."""

from __future__ import annotations

import jwt
import pytest

from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import batch_size, differences, summarize, time_in_turn
from linqi_bench.tokens import CASES, QUICK_CASES, Case, typical_claims


@pytest.mark.parametrize("name", CASES)
def test_signing(recorder: Recorder, name: str) -> None:
    """The claims become JSON, then base64url, then a signed token."""
    if recorder.is_quick and name not in QUICK_CASES:
        pytest.skip("a quick run leaves out the rarer algorithms")
    case = Case.of(name)
    claims = typical_claims()
    sign = case.signer.sign
    calls = batch_size(lambda: sign(claims))
    key, header = case.material, {"kid": case.signer.keys.signing_key().kid, "typ": "at+jwt"}

    def ours() -> None:
        for _ in range(calls):
            sign(claims)

    def pyjwt() -> None:
        for _ in range(calls):
            jwt.encode(claims, key, case.alg, header)

    data = sign(claims).rpartition(".")[0].encode()
    blocks = [case.raw_sign(data, calls), ours]
    raw_times, our_times = time_in_turn(blocks, calls, recorder.seconds / 2)
    (pyjwt_times,) = time_in_turn([pyjwt], calls, recorder.seconds / 4)
    recorder.add(
        Figure(
            id=f"sign.{name}",
            name=f"sign {name}",
            unit="us",
            value=summarize(our_times),
            over=differences(our_times, raw_times),
            raw=summarize(raw_times).median,
            raw_is="cryptography's signature of the same bytes",
            pyjwt=summarize(pyjwt_times).median,
        )
    )
