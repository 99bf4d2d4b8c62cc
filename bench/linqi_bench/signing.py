"""Suite: what a signature costs, which is what a login or a renewal pays."""

from __future__ import annotations

import jwt
import pytest

from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import differences, fitting_batch, summarize, time_in_turn
from linqi_bench.tokens import CASES, Case, typical_claims


@pytest.mark.parametrize("name", CASES)
def test_signing(recorder: Recorder, name: str) -> None:
    """The claims become JSON, then base64url, then a signed token."""
    case = Case.of(name)
    claims = typical_claims()
    sign = case.signer.sign
    calls = fitting_batch(lambda: sign(claims))
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
    total = summarize(our_times)
    recorder.add(
        Figure(
            group="signing",
            name=f"sign {name}",
            unit="us",
            sample=differences(our_times, raw_times),
            spread=total.spread,
            total=total.median,
            raw=summarize(raw_times).median,
            raw_is="cryptography's signature of the same bytes",
            pyjwt=summarize(pyjwt_times).median,
        )
    )
