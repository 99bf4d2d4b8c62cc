"""The processes of a storm load what they use."""

import json
import platform
import subprocess
import sys

import pytest


def fresh(imports: str) -> tuple[float, set[str]]:
    """Return the resident megabytes and the modules of a process that has run `imports`."""
    program = f"""
import json, sys
{imports}
names = list(sys.modules)
from linqi_report.process_memory import resident_bytes
print(json.dumps([resident_bytes() / 1e6, names]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    megabytes, names = json.loads(ran.stdout)
    return megabytes, set(names)


@pytest.mark.parametrize(
    ("process", "alone", "most", "unused"),
    [
        (
            "linqi_storm.apps.worker",
            "uvicorn, uvicorn.protocols.http.httptools_impl, uvloop",
            1.55,
            {"jwt", "sqlite3", "linqi.config", "linqi.stores", "linqi_storm.scenarios", "locust"},
        ),
        (
            "linqi_storm.clients.generator",
            "locust",
            1.35,
            {"jwt", "uvicorn", "linqi.asgi", "linqi.config", "linqi.stores", "linqi_storm.apps"},
        ),
    ],
    ids=["server", "generator"],
)
def test_a_process_of_a_storm_loads_what_it_uses(
    process: str, alone: str, most: float, unused: set[str]
) -> None:
    """Memory before the first client, over that of the library which serves or sends."""
    megabytes, loaded = fresh(f"import {process}")
    assert process in loaded
    assert unused & loaded == set()
    assert megabytes <= most * fresh(f"import {alone}")[0]


def test_freed_memory_is_returned() -> None:
    """The tokens of 100,000 clients are read, copied and dropped: only the copies remain."""
    program = """
from linqi_report.process_memory import resident_bytes, return_freed_memory
dropped = [str(number) * 120 for number in range(100_000)]
kept = [bytes(600) for _ in range(1_000)]
dropped.clear()
before = resident_bytes()
return_freed_memory()
print(before - resident_bytes())
"""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library keeps what was freed")
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) > 30e6
