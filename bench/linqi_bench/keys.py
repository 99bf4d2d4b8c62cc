"""Suite: the cost of finding a key in a fetched set, and of reading such a set."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any, Final

from linqi import Key, KeySet, RefreshSettings, RemoteKeys, Snapshot
from linqi.errors import UnknownKey
from linqi.jwks.published import read_published
from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder, run_block
from linqi_bench.timing import summarize, time_in_turn

_LOOKUPS: Final = 1_000
_ISSUER: Final = "http://127.0.0.1:9"
"""The discard port: connections are refused at once."""
_KEYS: Final = 64
_ROTATED: Final = 8


def test_known_kid(recorder: Recorder, benchmark: Any) -> None:
    """A thousand look-ups in a warm `RemoteKeys`, against a `KeySet` that was given."""
    key = Key.generate("ES256", kid="known")
    remote, given = _remote(key), KeySet([key])

    def look_up() -> None:
        find = remote.find
        for _ in range(_LOOKUPS):
            find("ES256", "known")

    def look_up_given() -> None:
        find = given.find
        for _ in range(_LOOKUPS):
            find("ES256", "known")

    sample = run_block(benchmark, "keys.known", look_up, _LOOKUPS)
    (raw,) = time_in_turn([look_up_given], _LOOKUPS, recorder.seconds / 4)
    recorder.add(
        Figure(
            id="keys.known",
            name="known kid, fetched set",
            unit="us",
            value=sample,
            raw=summarize(raw).median,
            raw_is="the same in a KeySet",
        )
    )


def test_unknown_kid(recorder: Recorder, benchmark: Any) -> None:
    """Unknown kids during the cooldown: the cost of each in a flood."""
    remote = _remote(Key.generate("ES256", kid="known"))
    asyncio.run(_enter_cooldown(remote))

    def look_up() -> None:
        for _ in range(_LOOKUPS):
            with contextlib.suppress(UnknownKey):
                remote.find("ES256", "made-up")
            with contextlib.suppress(StopIteration):  # it waits for nothing
                remote.fetch_for("ES256", "made-up").send(None)

    sample = run_block(benchmark, "keys.unknown", look_up, _LOOKUPS)
    assert remote.state().refused_kids >= _LOOKUPS
    recorder.add(Figure(id="keys.unknown", name="unknown kid refused", unit="us", value=sample))


def test_rotation(recorder: Recorder) -> None:
    """A set gets a new key and loses its oldest."""
    made = [Key.generate("ES256") for _ in range(_ROTATED + 2)]
    keys = KeySet(made[:2])

    def rotate() -> None:
        for number in range(_ROTATED):
            keys.replace(made[number + 1 : number + 3])
        keys.replace(made[:2])

    (times,) = time_in_turn([rotate], _ROTATED + 1, recorder.seconds / 4)
    recorder.add(
        Figure(
            id="keys.rotation",
            name="a new key in, the oldest out",
            unit="us",
            value=summarize(times),
        )
    )


def test_reading_sets(recorder: Recorder, benchmark: Any) -> None:
    """The largest ordinary set, and the slowest hostile one of 256 KiB that was found."""
    keys = [Key.generate("ES256").public_jwk() for _ in range(_KEYS)]
    ordinary = json.dumps({"keys": keys}).encode()
    hostile = b'{"keys": [' + b",".join([b"9" * 4_000] * (_KEYS - 2)) + b"]}"

    def read(body: bytes) -> None:
        with contextlib.suppress(Exception):
            read_published(body, ["ES256"], _KEYS)

    sample = run_block(benchmark, "keys.read", lambda: read(ordinary), 1)
    (slow,) = time_in_turn([lambda: read(hostile)], 1, recorder.seconds / 4)
    for figure_id, name, found in (
        ("keys.read", "reading a set of 64 keys", sample),
        ("keys.read_hostile", "reading a hostile set", summarize(slow)),
    ):
        recorder.add(Figure(id=figure_id, name=name, unit="us", value=found))


def _remote(key: Key) -> RemoteKeys:
    """Return fetched keys of an issuer that cannot be reached."""
    body = json.dumps({"keys": [key.public_jwk()]})
    snapshot = Snapshot(issuer=_ISSUER, jwks=body, fetched_at=time.time(), lifetime_seconds=3600)
    return RemoteKeys(_ISSUER, ["ES256"], initial=snapshot, refresh=RefreshSettings(cooldown=60))


async def _enter_cooldown(remote: RemoteKeys) -> None:
    """Start the cooldown of `remote`, in which an unknown kid causes no fetch."""
    assert await remote.fetch_for("ES256", "made-up")
    await remote.close()
