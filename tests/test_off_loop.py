"""Signature checks in threads: the same results, each token once, and nothing else in a thread."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from asgi import call, http
from clock import FakeClock
from linqi import ConfigurationError, JWTMiddleware, Key, KeySet, TrustedIssuer, Verifier
from linqi.asgi.off_loop import OffLoop
from linqi.errors import InvalidSignature, MalformedToken, TokenError, TokenExpired, UnknownKey
from linqi.jose._compact import decode_segment
from tokens import AUDIENCE, ISSUER, good_claims, make

KEY = Key.generate("ES256")
OTHER = Key.generate("EdDSA")


def verifier_of(keys: KeySet, clock: FakeClock | None = None) -> Verifier:
    """Return a verifier of both algorithms."""
    trusted = TrustedIssuer(
        issuer=ISSUER, audience=AUDIENCE, keys=keys, algorithms=["ES256", "EdDSA"]
    )
    return Verifier(trusted, clock=clock or FakeClock())


class Watch:
    """Records in which threads `Key.verify` runs, and can block it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        verify = Key.verify

        def watched(key: Key, data: bytes, signature: bytes) -> bool:
            self.threads.append(threading.current_thread().name)
            self.gate.wait(10)
            return verify(key, data, signature)

        monkeypatch.setattr(Key, "verify", watched)


async def test_requests_of_one_token_share_one_check_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fifty at once cost one signature check, and all get the same value."""
    watch = Watch(monkeypatch)
    off_loop = OffLoop(verifier_of(KeySet([KEY, OTHER])), ["ES256"])
    token = make(KEY, good_claims()).encode()
    watch.gate.clear()
    waiting = [asyncio.create_task(off_loop.verify(token)) for _ in range(50)]
    await asyncio.sleep(0)
    watch.gate.set()
    found = await asyncio.gather(*waiting)
    assert len({id(verified) for verified in found}) == 1
    assert (await off_loop.verify(token)) is found[0]
    assert [name.startswith("linqi-verify") for name in watch.threads] == [True]
    await off_loop.close()


async def test_other_algorithms_stay_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only tokens of the named algorithms are checked in a thread."""
    watch = Watch(monkeypatch)
    off_loop = OffLoop(verifier_of(KeySet([KEY, OTHER])), ["ES256"])
    assert (await off_loop.verify(make(OTHER, good_claims()).encode())).algorithm == "EdDSA"
    assert watch.threads == [threading.main_thread().name]


async def test_tokens_of_other_algorithms_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked on the loop is read as it is without threads: its payload decoded once."""
    off_loop = OffLoop(verifier_of(KeySet([KEY, OTHER])), ["ES256"])
    token = make(OTHER, good_claims()).encode()
    payload, read = token.split(b".")[1], []

    def counted(segment: bytes) -> bytes:
        read.append(segment)
        return decode_segment(segment)

    monkeypatch.setattr("linqi.jose.verifier.decode_segment", counted)
    await off_loop.verify(token)
    assert read.count(payload) == 1


@pytest.mark.parametrize("algorithms", [["ES256"], ["EdDSA"]])
async def test_verdicts_are_those_of_the_verifier(algorithms: list[str]) -> None:
    """Forged, malformed, expired and unknown tokens are refused as on the loop."""
    off_loop = OffLoop(verifier_of(KeySet([KEY])), algorithms)
    good = make(KEY, good_claims())
    head, _, signature = good.rpartition(".")
    filler = "A" if signature[9] != "A" else "B"
    cases: list[tuple[str, type[TokenError]]] = [
        (f"{head}.{signature[:9]}{filler}{signature[10:]}", InvalidSignature),
        (good + ".", TokenError),
        ("x", MalformedToken),
        (make(KEY, good_claims(exp=FakeClock().now)), TokenExpired),
        (make(Key.generate("ES256"), good_claims()), UnknownKey),
    ]
    for token, error in cases:
        with pytest.raises(error):
            await off_loop.verify(token.encode())
    assert (await off_loop.verify(good.encode())).subject == "alice"
    await off_loop.close()


async def test_a_key_withdrawn_during_the_check_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A check by a removed key, or by another key with its id, is not accepted."""
    watch = Watch(monkeypatch)
    for after in ([OTHER], [OTHER, Key.generate("ES256", kid=KEY.kid)]):
        keys = KeySet([KEY, OTHER])
        off_loop = OffLoop(verifier_of(keys), ["ES256"])
        watch.gate.clear()
        waiting = asyncio.create_task(off_loop.verify(make(KEY, good_claims()).encode()))
        await asyncio.sleep(0)
        keys.replace(after)
        watch.gate.set()
        with pytest.raises((UnknownKey, InvalidSignature)):
            await waiting
        await off_loop.close()


async def test_a_waiter_that_leaves_ends_nobody_elses_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check is shared, and a caller that leaves does not cancel it."""
    watch = Watch(monkeypatch)
    off_loop = OffLoop(verifier_of(KeySet([KEY])), ["ES256"])
    token = make(KEY, good_claims()).encode()
    watch.gate.clear()
    first, second = (asyncio.create_task(off_loop.verify(token)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    watch.gate.set()
    assert (await second).subject == "alice"
    assert len(watch.threads) == 1
    await off_loop.close()


async def test_the_middleware_offers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify_off_loop` names algorithms; requests are answered as without it."""
    watch = Watch(monkeypatch)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["user"].identity.encode()})

    guarded = JWTMiddleware(app, verifier_of(KeySet([KEY])), verify_off_loop=["ES256"])
    token = make(KEY, good_claims())
    for presented, status in ((token, 200), (token, 200), (token[:-4] + "AAAA", 401)):
        assert (await call(guarded, http(token=presented))).status == status
    assert all(name.startswith("linqi-verify") for name in watch.threads)
    assert len(watch.threads) == 2


@pytest.mark.parametrize("algorithms", ["ES256", ["none"]])
def test_what_is_no_list_of_algorithms_is_a_fault(algorithms: Any) -> None:
    """Reported at construction, with the form that is expected."""
    with pytest.raises(ConfigurationError, match="verify_off_loop"):
        OffLoop(verifier_of(KeySet([KEY])), algorithms)
    with pytest.raises(ConfigurationError, match="threads"):
        OffLoop(verifier_of(KeySet([KEY])), ["ES256"], threads=0)
