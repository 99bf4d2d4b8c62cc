"""A package of npm at the version and with the digest of tests/node/package.json."""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

__all__ = ["node_package"]

_ROOT = Path(__file__).parent.parent
_CACHE = _ROOT / "build" / "npm"


def node_package(name: str) -> Path:
    """Return the folder of a package; the first call of a machine fetches it.

    A machine without npm, or without its registry, fails: without the real library the tests would
    show nothing.
    """
    pinned = json.loads((_ROOT / "tests" / "node" / "package.json").read_text())
    version = pinned["dependencies"][name]
    archive = _CACHE / f"{name}-{version}.tgz"
    if not archive.exists():
        _fetch(f"{name}@{version}")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != pinned["integrity"][name]:
        pytest.fail(f"{archive} is not the {name} {version} of tests/node/package.json")
    folder = _CACHE / f"{name}-{version}"
    if not folder.exists():
        with tarfile.open(archive) as packed:
            packed.extractall(_CACHE / f"{name}-{version}.part", filter="data")
        (_CACHE / f"{name}-{version}.part").rename(folder)
    return folder / "package"


def _fetch(wanted: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail(f"npm is not installed, and {wanted} is not in {_CACHE}")
    _CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [npm, "pack", "--silent", "--pack-destination", str(_CACHE), wanted],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"npm pack {wanted} failed: {done.stderr[-1000:]}")
