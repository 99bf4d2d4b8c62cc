"""The environments of the rivals: one for each requirements file, and one of npm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rivals.catalogue import Rival

__all__ = [
    "HERE",
    "Environment",
    "EnvironmentMissing",
    "current_environment",
    "installed_environment",
]

HERE: Final = Path(__file__).parent
_CHECKOUT: Final = HERE.parent.parent
_PYTHONS: Final = _CHECKOUT / ".venv-rivals"
_INSTALL_SECONDS: Final = 600
_LONGEST_REASON: Final = 400
_VERSIONS: Final = """
import json, platform, sys
from importlib.metadata import version
print(json.dumps({"python": platform.python_version()} | {n: version(n) for n in sys.argv[1:]}))
"""


class EnvironmentMissing(Exception):
    """The environment of a rival could not be installed; the message says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """How the processes of one rival are started, and what is installed for them."""

    program: tuple[str, ...]
    """The interpreter."""
    versions: dict[str, str]

    def command(self, rival: Rival, script: str, *arguments: str) -> list[str]:
        """Return the command line of `script` for `rival`: ``serve`` or ``decode``."""
        if rival.runtime == "node":
            return [*self.program, str(HERE / "node" / f"{script}.mjs"), rival.app, *arguments]
        return [*self.program, "-m", f"rivals.apps.{script}", rival.app, *arguments]


def installed_environment(rival: Rival, tell: Callable[[str], object]) -> Environment:
    """Return the environment of `rival`, installed where it is missing or its pins have changed."""
    if rival.runtime == "node":
        return _node(rival, tell)
    if not rival.requirements:
        return current_environment(rival)
    home = _PYTHONS / "{}.{}".format(*sys.version_info) / rival.requirements
    pins = HERE / "requirements" / f"{rival.requirements}.txt"
    _install(
        home / "installed.txt",
        pins,
        [
            [sys.executable, "-m", "venv", "--clear", str(home)],
            [str(home / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(pins)],
        ],
        tell,
    )
    return _python(rival, str(home / "bin" / "python"))


def current_environment(rival: Rival) -> Environment:
    """Return the running interpreter as the environment of `rival`, if all it needs is there."""
    if rival.runtime == "node":
        raise EnvironmentMissing("it runs in Node.js")
    return _python(rival, sys.executable)


def _python(rival: Rival, program: str) -> Environment:
    asked = subprocess.run(
        [program, "-c", _VERSIONS, *rival.packages], capture_output=True, text=True, timeout=60
    )
    if asked.returncode:
        raise EnvironmentMissing(asked.stderr.strip().rpartition("\n")[2])
    return Environment((program,), json.loads(asked.stdout))


def _node(rival: Rival, tell: Callable[[str], object]) -> Environment:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise EnvironmentMissing("node or npm is not on PATH")
    home = HERE / "node"
    modules = home / "node_modules"
    options = ["--no-package-lock", "--no-audit", "--no-fund", "--silent"]
    install = [npm, "install", "--prefix", str(home), *options]
    _install(modules / ".installed.json", home / "package.json", [install], tell)
    versions = {"node": subprocess.check_output([node, "--version"], text=True).strip()}
    for name in rival.packages:
        manifest = modules / name / "package.json"
        versions[name] = json.loads(manifest.read_text("utf-8"))["version"]
    return Environment((node,), versions)


def _install(
    stamp: Path, pins: Path, commands: list[list[str]], tell: Callable[[str], object]
) -> None:
    """Run `commands` unless `stamp` is a copy of `pins`, and leave that copy."""
    wanted = pins.read_text("utf-8")
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    tell(f"installing {pins.relative_to(_CHECKOUT)}")
    for command in commands:
        ran = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
        if ran.returncode:
            raise EnvironmentMissing(_reason(ran.stderr))
    stamp.write_text(wanted, "utf-8")


def _reason(stderr: str) -> str:
    """Return the errors that an installer printed, without its warnings: they name the machine."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("ERROR:")]
    return "; ".join(errors or lines[-1:])[-_LONGEST_REASON:]
