"""Suite: what a process pays before its first request, to import the library."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from linqi_bench.figures import Figure
from linqi_bench.recorder import Recorder
from linqi_bench.timing import summarize

_ROUNDS, _QUICK_ROUNDS = 15, 5
_IMPORT: Final = """
import gc, json, sys, time
from linqi_report.process_memory import resident_bytes
before, memory, began = len(sys.modules), resident_bytes(), time.process_time()
import {module}
took = time.process_time() - began
gc.collect()
grown = resident_bytes() - memory
print(json.dumps([took * 1e3, grown / 1e6, len(sys.modules) - before]))
"""


def test_import_of_the_library(recorder: Recorder) -> None:
    """CPU time and memory of ``import linqi``, each in a fresh process, beside ``import jwt``."""
    rounds = _QUICK_ROUNDS if recorder.is_quick else _ROUNDS
    for module in ("linqi", "jwt"):
        _import(module)  # the first one writes or reads what the next ones find in memory
    ours, pyjwt = [], []
    for _ in range(rounds):
        ours.append(_import("linqi"))
        pyjwt.append(_import("jwt"))
    modules = {"modules": ours[0][2], "modules_of_pyjwt": pyjwt[0][2]}
    for figure_id, name, unit, index in (
        ("import.linqi.time", "import linqi, CPU time", "ms", 0),
        ("import.linqi.memory", "import linqi, memory", "MB", 1),
    ):
        recorder.add(
            Figure(
                id=figure_id,
                name=name,
                unit=unit,
                value=summarize([one[index] for one in ours]),
                raw=summarize([one[index] for one in pyjwt]).median,
                raw_is="import jwt",
                details=modules,
            )
        )


def _import(module: str) -> list[float]:
    """Return milliseconds, megabytes and modules of one import."""
    command = [sys.executable, "-c", _IMPORT.format(module=module)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[float] = json.loads(ran.stdout)
    return found
