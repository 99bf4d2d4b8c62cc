"""One name has one meaning in the distribution."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "middleware/linqi",
    "bench/linqi_report",
    "bench/linqi_bench",
    "loadtests/linqi_storm",
    "loadtests/linqi_tune",
)
# One class per client library, with the same contract.
SHARED_CONTRACTS = {"RefreshingAuth", "RefusedRequest"}


def public_classes() -> Iterator[tuple[str, str]]:
    """Yield the name of each public class at the top of a module, with the module's path."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    yield node.name, str(path.relative_to(ROOT))


def test_no_two_public_classes_share_a_name() -> None:
    """A reader who searches for a class finds one, except for classes of one contract."""
    places = defaultdict(list)
    for name, path in public_classes():
        places[name].append(path)
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert {name: paths for name, paths in shared.items() if name not in SHARED_CONTRACTS} == {}
    assert set(shared) == SHARED_CONTRACTS
