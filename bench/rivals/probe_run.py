"""Sends every rival the same tokens over HTTP, and records its responses."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from rivals.catalogue import Rival
from rivals.environments import HERE, Environment
from rivals.probes import OVERSIZED, PROBES, MintPair, Probe
from rivals.processes import ProcessDied, Server, running_servers
from rivals.tokens import Mint

__all__ = ["ProbeOutcomes", "observe", "reply_to"]

_PAST_EXPIRY_SECONDS: Final = 3.2
"""A token of the probe lives 2 s; Node's `Date` and ours may differ by a tick."""
_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutcomes:
    """The responses of one rival; the keys are the names of the probes."""

    app: str
    answers: dict[str, str] = field(default_factory=dict)
    oversized: dict[str, tuple[str, float]] = field(default_factory=dict)
    """What came of each oversized token, and after how many microseconds."""
    renewals: dict[str, str] = field(default_factory=dict)


def observe(rival: Rival, environment: Environment, folder: Path) -> ProbeOutcomes:
    """Show `rival` every probe."""
    pairs = {alg: MintPair(Mint(alg), Mint(alg)) for alg in ("HS256", "RS256")}
    answers: dict[str, str] = {}
    with ExitStack() as stack:
        servers: dict[tuple[str, bool], Server | str] = {}
        for key in dict.fromkeys((probe.alg, probe.allows_both) for probe in PROBES):
            alg, both = key
            path = folder / f"{rival.app}-{alg}-{both}.json"
            material = pairs[alg].own.material
            replace(material, algorithms=("RS256", "HS256") if both else (alg,)).write(path)
            command = environment.command(rival, "serve", "guarded", str(path))
            try:
                running = running_servers([command], path.with_suffix(".log"))
                (servers[key],) = stack.enter_context(running)
            except ProcessDied as error:
                servers[key] = f"not possible: {error}"
        late = []
        for probe in PROBES:
            server = servers[probe.alg, probe.allows_both]
            if isinstance(server, str):
                answers[probe.name] = server
                continue
            pair = pairs[probe.alg]
            tokens = [probe.make(pair), *(pair.other.token() for _ in range(probe.headers - 1))]
            answers[probe.name] = reply_to(server.port, tokens)
            if probe.twice:
                late.append((probe, server, tokens))
        if late:
            time.sleep(_PAST_EXPIRY_SECONDS)
        for probe, server, tokens in late:
            answers[probe.name] = _judged_again(probe, answers, reply_to(server.port, tokens))
    material_file = folder / f"{rival.app}-HS256-False.json"
    return ProbeOutcomes(
        app=rival.app,
        answers=answers,
        oversized=_time_oversized(rival, environment, material_file),
    )


def _judged_again(probe: Probe, answers: Mapping[str, str], now: str) -> str:
    return now if answers[probe.name] == "accepted" else f"first {answers[probe.name]}"


def reply_to(port: int, tokens: list[str], path: str = "/me") -> str:
    """Present each of `tokens` in a header of its own; give the answer in a word or two.

    Sockets, because no client library sends what the probes need.
    """
    fields = "".join(f"Authorization: Bearer {token}\r\n" for token in tokens)
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}Connection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as sock:
            sock.sendall(request.encode("ascii"))
            received = bytearray()
            while chunk := sock.recv(65536):
                received += chunk
    except TimeoutError:
        return f"no answer in {_TIMEOUT:g} s"
    except OSError as error:
        return f"connection lost ({type(error).__name__})"
    status = received[9:12].decode("ascii", "replace")
    if status == "200":
        return _accepted(bytes(received))
    return "refused" if status in ("400", "401", "403") else f"refused with {status or 'nothing'}"


def _accepted(response: bytes) -> str:
    """Return which subject the application received, where the token named two."""
    if b'"first"' in response:
        return "accepted, the first"
    return "accepted, the last" if b"0000000000ff" in response else "accepted"


def _time_oversized(
    rival: Rival, environment: Environment, material: Path
) -> dict[str, tuple[str, float]]:
    path = material.with_suffix(".txt")
    path.write_text("\n".join(OVERSIZED.values()), "ascii")
    try:
        ran = subprocess.run(
            environment.command(rival, "judge", str(material), str(path)),
            cwd=HERE.parent,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        return dict.fromkeys(OVERSIZED, ("no end within 120 s", 0.0))
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
    found = {
        name: (line["outcome"], line["microseconds"])
        for name, line in zip(OVERSIZED, lines, strict=False)
    }
    for name in list(OVERSIZED)[len(lines) :]:
        found[name] = (f"the process ended with {ran.returncode}", 0.0)
    return found
