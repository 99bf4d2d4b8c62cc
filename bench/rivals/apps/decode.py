"""Times the decode call of one rival inside its process, and prints the times as JSON.

``python -m rivals.apps.decode NAME MATERIAL TOKENS SECONDS``; `TOKENS` has one token a line, the
first `HOT` of which are repeated. CPU time, so that other processes on the machine weigh less.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from rivals.material import Material

HOT = 8


def main() -> None:
    """Time hot and cold decodes in turn until the seconds or the fresh tokens run out."""
    name, material, path, seconds = sys.argv[1:]
    decode = import_module(f"rivals.apps.{name}").decoder(Material.read(Path(material)))
    tokens = Path(path).read_text("ascii").split()
    batches = [tokens[start : start + HOT] for start in range(0, len(tokens) - HOT + 1, HOT)]
    hot, *fresh = batches
    for batch in [hot] * 20 + fresh[:20]:
        _time(decode, batch)
    end = time.process_time() + float(seconds)
    taken: dict[str, list[float]] = {"cold": [], "hot": []}
    for batch in fresh[20:]:
        taken["cold"].append(_time(decode, batch))
        taken["hot"].append(_time(decode, hot))
        if time.process_time() > end:
            break
    sys.stdout.write(json.dumps(taken))


def _time(decode: Callable[[str], object], batch: Sequence[str]) -> float:
    """Return the microseconds that one decode of `batch` took."""
    start = time.process_time_ns()
    for token in batch:
        decode(token)
    return (time.process_time_ns() - start) / (1000 * len(batch))


if __name__ == "__main__":
    main()
