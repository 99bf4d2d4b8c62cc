"""Suite: what a process pays until it has answered its first request."""

from __future__ import annotations

import json
from typing import Final

import pytest

from linqi import Key, Signer
from linqi_bench.fresh_process import add_figures
from linqi_bench.recorder import Recorder
from linqi_bench.tokens import AUDIENCE, ISSUER, Case, brief_claims

__all__ = ["CASES", "arguments_of"]

_SECRET: Final = "Zp3fVvLQm1Xc8tKwR5yHn2JdBs7uGe0a9TqWxNzM4rE"
CASES: Final = {
    "HS256": ("request", "first request, HS256 by a secret"),
    "ES256": ("request", "first request, ES256 by a PEM"),
    "JWK": ("request", "first request, ES256 by a JWK"),
    "renewing": ("renewing", "first request of a new session, HS256"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_request_of_a_process(recorder: Recorder, case: str) -> None:
    """CPU time and memory of a fresh process, in turn with one that calls PyJWT's ``decode``."""
    name = CASES[case][1]
    add_figures(recorder, f"import.{case}", name, arguments_of(case), "import jwt and one decode")


def arguments_of(case: str) -> tuple[list[str], list[str]]:
    """Return the arguments of a process of linqi, and of one of PyJWT.

    They are the kind of process, issuer, audience, key, algorithm and token.
    """
    if case in ("ES256", "JWK"):
        made = Case.of("ES256")
        algorithm, signer, theirs = "ES256", made.signer, made.public_pem
    else:
        key = Key.from_secret(_SECRET)
        algorithm, signer, theirs = "HS256", Signer(key, issuer=ISSUER, audience=AUDIENCE), _SECRET
    jwk = json.dumps(signer.keys.public_jwks()["keys"][0]) if case == "JWK" else None
    rest = [algorithm, signer.sign(brief_claims())]
    given = [CASES[case][0], ISSUER, AUDIENCE, jwk or theirs, *rest]
    return given, ["decode", ISSUER, AUDIENCE, theirs, *rest]
