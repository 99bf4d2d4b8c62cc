"""Big access logs, and what reading them costs: ``make big-log``."""

from __future__ import annotations

import heapq
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from linqi_tune.evidence.access_log import LogSource, read_logs

BEGAN = 1_795_000_000
_AGENTS = [
    f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{n}.0.0.0"
    for n in range(60, 140)
]
_PATHS = [f"/{name}" for name in ("cart", "me", "search?q=a", "orders", "api/v1/items")]


def write_big_log(path: Path, size: int, persons: int = 20_000, seed: int = 5) -> None:
    """Write about `size` bytes of users who click, read and go away.

    The format is JSON if the name ends in ``.json``, else combined. Every second path is one of its
    own.
    """
    rng = random.Random(seed)
    visits = [(rng.random() * 600, person) for person in range(persons)]
    heapq.heapify(visits)
    written, is_json = 0, path.suffix == ".json"
    with path.open("w") as file:
        while written < size:
            at, person = heapq.heappop(visits)
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(BEGAN + at))
            for _ in range(rng.choice((1, 1, 2, 3, 6))):
                number = rng.randrange(10**6)
                target = f"/items/{number}" if number % 2 else _PATHS[number % len(_PATHS)]
                agent = _AGENTS[person % len(_AGENTS)]
                if is_json:
                    told = {"ts": BEGAN + at, "user": f"u{person}", "status": 200, "path": target}
                    line = json.dumps({**told, "method": "GET", "agent": agent, "bytes": number})
                else:
                    line = (
                        f'10.0.{person % 250}.7 - u{person} [{stamp}] "GET {target} HTTP/1.1" 200'
                        f' {number} "https://shop.example/" "{agent}"'
                    )
                written += file.write(line + "\n")
            is_near = rng.random() < 0.85
            gap = rng.expovariate(1 / 20) if is_near else rng.paretovariate(1.1) * 120
            heapq.heappush(visits, (at + gap, person))


def read_big_log(path: Path) -> tuple[int, float, float, int]:
    """Return the requests of a log, seconds, processor seconds, and the peak of memory in MB."""
    began, before = time.perf_counter(), os.times()
    log = read_logs(LogSource(paths=[path], session="user"))
    after = os.times()
    used = after.user + after.system - before.user - before.system
    import resource  # not on Windows, where tests only write logs

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return log.summary.visits, time.perf_counter() - began, used, peak


def main() -> None:
    """Read 1 GB of combined lines and 300 MB of JSON three times, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("combined.log", 1_000_000_000), ("lines.json", 300_000_000)):
            path = Path(folder) / name
            write_big_log(path, size)
            for _ in range(3):
                load = os.getloadavg()[0]
                done = subprocess.run(
                    [sys.executable, __file__, path], check=True, capture_output=True, text=True
                )
                print(
                    f"{name}, {size / 1e6:,.0f} MB: {done.stdout.strip()}, load before {load:.1f}"
                )


if __name__ == "__main__":
    if len(sys.argv) == 2:
        visits, seconds, used, peak = read_big_log(Path(sys.argv[1]))
        print(f"{visits:,} requests, {seconds:.1f} s, {used:.1f} processor seconds, {peak} MB")
    else:
        main()
