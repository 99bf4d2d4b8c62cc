"""Says what one rival makes of each token of a file, and how long that took, as JSON lines.

``python -m rivals.apps.judge NAME MATERIAL TOKENS``.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

from rivals.material import Material


def main() -> None:
    """Decode every token three times; give the least CPU microseconds and what came of it."""
    name, material, path = sys.argv[1:]
    decode = import_module(f"rivals.apps.{name}").decoder(Material.read(Path(material)))
    for token in Path(path).read_text("ascii").split():
        times = []
        for _ in range(3):
            start = time.process_time_ns()
            try:
                decode(token)
                outcome = "accepted"
            except Exception as error:  # noqa: BLE001 - what it raises is the finding
                outcome = type(error).__name__
            times.append((time.process_time_ns() - start) / 1000)
        sys.stdout.write(json.dumps({"outcome": outcome, "microseconds": min(times)}) + "\n")


if __name__ == "__main__":
    main()
