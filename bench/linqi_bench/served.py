"""Suite: what a guard adds to a served request, in CPU time of the server's own process."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from linqi_bench.figures import Figure
from linqi_bench.load_process import LOADS, Load, chosen_load
from linqi_bench.recorder import Recorder
from linqi_bench.server_process import SERVERS, ServedApp, is_installed, served
from linqi_bench.timing import TimedBlocks, differences, summarize
from linqi_bench.tokens import AUDIENCE, ISSUER, Case, typical_claims

_FRAMEWORKS: Final = ("asgi", "fastapi")
_CROWDS: Final = {"1": 1, "100": 100, "10k": 10_000, "100k": 100_000}
_ALGORITHMS: Final = {"HS256": "HS256", "RS256": "RS256", "ES256": "ES256", "EdDSA": "Ed25519"}
_NEW_TOKENS: Final = 10_000
"""More than are sent between two readings, at which the cache is emptied."""
_NEW_ENTRIES: Final = 1_000
"""Few, so that the cache is full before the end of a block."""
_BLOCK_SECONDS, _QUICK_BLOCK_SECONDS = 0.25, 0.15
_LEAST_REQUESTS: Final = 500
_MOST_BLOCKS: Final = 100
_STARTS, _ROUNDS = 3, 5
"""How often the servers are started anew, and for how many rounds each: the memory layout of a
process changes the cost of a request by some microseconds for as long as it lives."""
_QUICK_STARTS, _QUICK_ROUNDS = 1, 8
_WARM_UP_REQUESTS: Final = 1_000
_WARM_UP_SECONDS: Final = 60.0
_QUICK_PLACE: Final = ("uvicorn", "asgi")
_QUICK: Final = ("10k", "HS256", "RS256")


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Tokens of one case, and a file with one a line."""

    case: Case
    file: Path
    token_bytes: int

    def guarded(self, **options: Any) -> dict[str, Any]:
        """Return the options of an application that accepts the tokens."""
        key = self.case.signer.keys.signing_key().private_jwk()
        return {"app": "guarded", "key": key, "issuer": ISSUER, "audience": AUDIENCE, **options}


@dataclass(frozen=True, slots=True)
class _App:
    """An application, and the CPU microseconds of one of its requests, one value a round."""

    options: dict[str, Any]
    python: str = sys.executable
    taken: list[float] = field(default_factory=list)

    @property
    def is_guarded(self) -> bool:
        return self.options.get("app") == "guarded"

    def over(self, other: _App) -> TimedBlocks:
        """Return what it takes longer than `other`."""
        return differences(self.taken, other.taken)


@pytest.fixture(scope="module")
def crowd_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], _Crowd]:
    """Return a function that signs a crowd once for all servers."""
    folder = tmp_path_factory.mktemp("crowds")

    @cache
    def crowd_of(name: str, count: int) -> _Crowd:
        case = Case.of(name)
        with ThreadPoolExecutor() as pool:  # RS256 takes 0.7 ms, without Python's lock
            tokens = [*pool.map(case.signer.sign, map(typical_claims, range(count)))]
        file = folder / f"{name}-{count}.txt"
        file.write_text("\n".join(tokens) + "\n", "ascii")
        return _Crowd(case, file, len(tokens[0]))

    return crowd_of


@pytest.mark.parametrize("framework", _FRAMEWORKS)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("size", _CROWDS)
def test_served_hit(
    recorder: Recorder,
    crowd_of: Callable[[str, int], _Crowd],
    size: str,
    server: str,
    framework: str,
) -> None:
    """RS256 tokens in turn that are all in the cache, against the bare app."""
    _skip_what_is_left_out(recorder, size, server, framework)
    count = _CROWDS[size]
    crowd = crowd_of("RS256", count)
    guarded = crowd.guarded(cache_entries=2 * count, cached=str(crowd.file))
    place = _Place(server, framework, f"hit.{size}", f"{count:,} cached tokens")
    place.measure(recorder, crowd, guarded, {"app": "hashing"}, "over_with_sha256_alone")


@pytest.mark.parametrize("framework", _FRAMEWORKS)
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", _ALGORITHMS)
def test_served_cold(
    recorder: Recorder,
    crowd_of: Callable[[str, int], _Crowd],
    name: str,
    server: str,
    framework: str,
) -> None:
    """Tokens that no cache holds, against the bare app."""
    _skip_what_is_left_out(recorder, name, server, framework)
    crowd = crowd_of(_ALGORITHMS[name], _NEW_TOKENS)
    guarded = crowd.guarded(cache_entries=_NEW_ENTRIES, forgets=True)
    place = _Place(server, framework, f"cold.{name}", f"new tokens, {name}")
    checking = {"app": "checking", "name": crowd.case.name}
    place.measure(recorder, crowd, guarded, checking, "over_with_check_alone")


def _skip_what_is_left_out(recorder: Recorder, what: str, server: str, framework: str) -> None:
    if recorder.is_quick and (server, framework) != _QUICK_PLACE:
        pytest.skip("a quick run measures uvicorn and bare ASGI only")
    if recorder.is_quick and what not in _QUICK:
        pytest.skip(f"a quick run measures {', '.join(_QUICK)} only of what is served")
    for needed in (server, framework):
        if needed != "asgi" and not is_installed(needed):
            pytest.skip(f"{needed} is not installed")


@dataclass(frozen=True, slots=True)
class _Place:
    """What is served where, and the id of its figure."""

    server: str
    framework: str
    what: str
    name: str

    def measure(
        self,
        recorder: Recorder,
        crowd: _Crowd,
        guarded: dict[str, Any],
        alone: dict[str, Any],
        alone_is: str,
    ) -> None:
        """Add the figure, and one of the linqi of another environment where one is given.

        A full run also tells what `alone` costs over the bare app of uvicorn.
        """
        bare = {"framework": self.framework}
        apps = [_App(bare), _App(bare | guarded)]
        if recorder.against is not None:
            apps.append(_App(bare | guarded, recorder.against))
        if not recorder.is_quick and (self.server, self.framework) == _QUICK_PLACE:
            apps.append(_App(bare | alone))
        self._in_turn(apps, crowd, is_quick=recorder.is_quick)
        plain, ours, *others = apps
        details = {"token_bytes": float(crowd.token_bytes)}
        for other in others:
            if not other.is_guarded:
                details[alone_is] = other.over(plain).median
        self._add(recorder, ours, plain, "", f"the bare app, loaded by {chosen_load()}", details)
        for other in others:
            if other.is_guarded:
                theirs = "the linqi of the other environment"
                self._add(recorder, ours, other, ".against", theirs, {})

    def _add(
        self,
        recorder: Recorder,
        ours: _App,
        baseline: _App,
        suffix: str,
        raw_is: str,
        details: dict[str, float],
    ) -> None:
        recorder.add(
            Figure(
                id=f"served.{self.what}.{self.server}.{self.framework}{suffix}",
                name=f"{self.name}, {self.server}, {self.framework}" + (suffix and ", against"),
                unit="us",
                value=summarize(ours.taken),
                over=ours.over(baseline),
                raw=summarize(baseline.taken).median,
                raw_is=raw_is,
                details=details,
            )
        )

    def _in_turn(self, apps: list[_App], crowd: _Crowd, *, is_quick: bool) -> None:
        """Serve `apps` side by side, and load them in turn, several times."""
        starts, rounds = (_QUICK_STARTS, _QUICK_ROUNDS) if is_quick else (_STARTS, _ROUNDS)
        seconds = _QUICK_BLOCK_SECONDS if is_quick else _BLOCK_SECONDS
        start_load = LOADS[chosen_load()]
        for _ in range(starts):
            with ExitStack() as started:
                turns = []
                for app in apps:
                    place = started.enter_context(served(self.server, app.options, app.python))
                    load = started.enter_context(start_load(place.port, crowd.file))
                    _warm_up(place, load)
                    turns.append((app, place, load))
                for number in range(rounds):
                    for app, place, load in turns if number % 2 else reversed(turns):
                        app.taken.append(_one(app, place, load, seconds))


def _warm_up(place: ServedApp, load: Load) -> None:
    """Send requests until the load is at work: it reads its tokens first."""
    end = time.monotonic() + _WARM_UP_SECONDS
    while place.read().answered < _WARM_UP_REQUESTS:
        if time.monotonic() > end:
            raise TimeoutError(f"no request was accepted within {_WARM_UP_SECONDS:g} s")
        load.run(_BLOCK_SECONDS)


def _one(app: _App, place: ServedApp, load: Load, seconds: float) -> float:
    """Return the CPU microseconds of one of the requests of a block.

    A block is continued while a busy machine has let the load send too little.
    """
    spent = answered = 0
    for _ in range(_MOST_BLOCKS):
        before = place.read()
        load.run(seconds)
        after = place.read()
        count = after.answered - before.answered
        hits, misses = after.hits - before.hits, after.misses - before.misses
        cold = (0, count) if app.options.get("forgets") else (count, 0)
        expected = cold if app.is_guarded else (0, 0)
        assert (hits, misses) == expected, f"{hits} hits, {misses} misses of {count} requests"
        spent += after.cpu_ns - before.cpu_ns
        answered += count
        if answered >= _LEAST_REQUESTS:
            return spent / (1000 * answered)
    raise TimeoutError(f"{answered} requests were accepted in {_MOST_BLOCKS} blocks")
