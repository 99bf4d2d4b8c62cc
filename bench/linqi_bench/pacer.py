"""A process that says when requests are due: ``python -m linqi_bench.pacer RATE COUNT``.

Each due instant is written to standard output as eight bytes when it has come, in seconds of the
monotonic clock. A process of its own, because a loop that looks at the clock would hold the lock
that the threads under test are waiting for.
"""

from __future__ import annotations

import random
import struct
import sys
import time

__all__ = ["DUE", "pace"]

DUE = struct.Struct("=d")


def pace(rate: float, count: int) -> None:
    """Write `count` random instants, `rate` a second on average."""
    source = random.Random(7)
    due = time.monotonic() + 0.05
    for _ in range(count):
        due += source.expovariate(rate)
        while (left := due - time.monotonic()) > 0:
            time.sleep(left)
        sys.stdout.buffer.write(DUE.pack(due))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    pace(float(sys.argv[1]), int(sys.argv[2]))
