"""How long workers accept a token after a call of the accounts guide: ``python account_delays.py``.

For each store and call it prints the median and the longest time from the return of the call in one
process to the refusal in two other ones, and the time that the call itself took.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from linqi import Key, Sessions, Signer, Verifier
from linqi.errors import TokenError
from linqi.stores.store_url import open_store
from million_revocations import server_of

STORES: Final = ("sqlite", "valkey", "postgres")
CALLS: Final = ("refresh_claims", "password_changed", "account_disabled")
_WORKERS: Final = 2
_KEY, _SECRET = Key.from_secret(bytes(range(64))), Key.from_secret(bytes(range(64, 128)))
_PROBE_SECONDS: Final = 0.001


class Worker:
    """Sessions and their verifier."""

    def __init__(self, url: str) -> None:
        signer = Signer(_KEY, issuer="https://shop.example", audience="shop")
        self.sessions = Sessions(
            open_store(url), signer, _SECRET, authorize=lambda row: True, hooks=[]
        )
        self.verifier = Verifier.trusting(signer, is_revoked=self.sessions.revocations.is_revoked)

    async def refused_at(self, token: str) -> float:
        """Return the instant of the machine's monotonic clock at which `token` is refused."""
        while True:
            try:
                self.verifier.verify(token)
            except TokenError:
                return time.monotonic()
            await asyncio.sleep(_PROBE_SECONDS)


async def follow(url: str) -> None:
    """Be another worker: for each token that is sent, tell when it was refused."""
    worker = Worker(url)
    await worker.sessions.start()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        worker.verifier.verify(line.strip())
        print("accepted", flush=True)
        print(await worker.refused_at(line.strip()), flush=True)
    await worker.sessions.close()


async def measure(url: str, call: str, rounds: int, others: Sequence[Any]) -> list[list[float]]:
    """Return the milliseconds of each call, and from each return to each refusal."""
    worker = Worker(url)
    await worker.sessions.start()
    took, delays = [], []
    for _ in range(rounds):
        user = f"user-{token_hex(4)}"
        pair = await worker.sessions.sign_in(user)
        for other in others:
            other.stdin.write(f"{pair.access_token}\n")
            other.stdin.flush()
        for other in others:
            assert other.stdout.readline() == "accepted\n"
        begun = time.monotonic()
        await getattr(worker.sessions, call)(user)
        returned = time.monotonic()
        took.append((returned - begun) * 1000)
        for other in others:
            refused = float(await asyncio.to_thread(other.stdout.readline))
            delays.append(max(0.0, refused - returned) * 1000)
    await worker.sessions.close()
    return [took, delays]


def main(rounds: int) -> None:
    """Print one line for each store and call."""
    for kind in STORES:
        with tempfile.TemporaryDirectory() as folder, server_of(kind, Path(folder)) as url:
            command = [sys.executable, __file__, "follow", url]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            others = [subprocess.Popen(command, text=True, **pipes) for _ in range(_WORKERS)]
            for other in others:
                assert other.stdout is not None
                assert other.stdout.readline() == "ready\n"
            for call in CALLS:
                took, delays = asyncio.run(measure(url, call, rounds, others))
                figures = {
                    "median_ms": round(statistics.median(delays), 1),
                    "max_ms": round(max(delays), 1),
                    "call_median_ms": round(statistics.median(took), 1),
                    "call_max_ms": round(max(took), 1),
                    "refusals": len(delays),
                }
                print(kind, call, json.dumps(figures), flush=True)
            for other in others:
                assert other.stdin is not None
                other.stdin.close()
                other.wait(20)


if __name__ == "__main__":
    if sys.argv[1:2] == ["follow"]:
        asyncio.run(follow(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 60)
