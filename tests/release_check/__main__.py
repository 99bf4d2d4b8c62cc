"""Runs the checks of a release: all of them, or those that are named."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from release_check import artifacts, installed
from release_check.versions import ROOT, notes, version_faults

SLICE = ("tests/test_changelog.py", "tests/test_verifier.py", "tests/test_renewal.py")


def main() -> int:
    """Run the checks and return 0 if each passed, else 1."""
    parser = argparse.ArgumentParser(prog="python -m release_check", description=__doc__)
    parser.add_argument(
        "checks",
        nargs="*",
        metavar="CHECK",
        help=f"of {', '.join(CHECKS)}, or notes: print the section of the changelog; default: all",
    )
    parser.add_argument("--dist", type=Path, help="the built files; default: build them")
    parser.add_argument("--tag", help="the tag of the release, such as v0.2.0")
    options = parser.parse_args()
    if options.checks == ["notes"]:
        sys.stdout.write(notes())
        return 0
    unknown = set(options.checks) - set(CHECKS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; checks are {', '.join(CHECKS)}")
    if faults := version_faults(options.tag, _tags()):
        print("\n".join(faults), file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="linqi-release-", ignore_cleanup_errors=True) as name:
        dist = options.dist or Path(name, "dist")
        if options.dist is None:
            artifacts.build(dist)
        for check in options.checks or CHECKS:
            began = time.monotonic()
            print(f"{check}: {CHECKS[check].__doc__}", flush=True)
            folder = Path(name, check)
            folder.mkdir()
            try:
                said = CHECKS[check](dist.resolve(), folder)
            except (RuntimeError, OSError, subprocess.SubprocessError, ValueError) as error:
                print(f"{check}: FAILED: {error}", file=sys.stderr)
                return 1
            print(f"{check}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


def _tags() -> frozenset[str]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return frozenset()
    listed = subprocess.run([git, "tag"], cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(listed.stdout.split())


def check_build(dist: Path, folder: Path) -> str:
    """Build the checkout and the sdist again: all builds are equal."""
    again = folder / "again"
    artifacts.build(again)
    if artifacts.digests(again) != artifacts.digests(dist):
        raise RuntimeError("a second build of the checkout differs")
    wheels = folder / "from-sdist"
    artifacts.build(wheels, artifacts.unpack(dist, folder / "sdist"), "wheel")
    here = artifacts.contents(artifacts.wheel_of(dist))
    there = artifacts.contents(artifacts.wheel_of(wheels))
    if here != there:
        names = sorted(n for n in here.keys() | there.keys() if here.get(n) != there.get(n))
        raise RuntimeError(f"the wheel of the sdist differs in {', '.join(names)}")
    return f"{len(here)} files, the same from the checkout and from the sdist"


def check_wheel(dist: Path, folder: Path) -> str:
    """Read the wheel, and ask twine and check-wheel-contents where they are installed."""
    wheel = artifacts.wheel_of(dist)
    if faults := artifacts.wheel_faults(wheel):
        raise RuntimeError("; ".join(faults))
    asked = []
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for tool, arguments in (
        ("twine", ["check", "--strict", *map(str, sorted(dist.glob("linqi-*")))]),
        ("check-wheel-contents", ["--ignore", "W009", str(wheel)]),  # five packages at the top
    ):
        found = shutil.which(tool, path=places)
        if found is None:
            asked.append(f"{tool} is not installed")
            continue
        ran = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise RuntimeError(f"{tool}: {ran.stdout}{ran.stderr}")
        asked.append(f"{tool} passed")
    return "; ".join(asked)


def check_tests(dist: Path, folder: Path) -> str:
    """Run a slice of the tests in the unpacked sdist, on its own packages."""
    root = artifacts.unpack(dist, folder)
    places = [str(root / name) for name in ("middleware", "bench", "loadtests", "tests")]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *SLICE],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"{ran.stdout}{ran.stderr}")
    return ran.stdout.strip().splitlines()[-1]


def check_bare(dist: Path, folder: Path) -> str:
    """Install the wheel alone, and run its commands."""
    bare = installed.Bare(folder)
    bare.install(str(artifacts.wheel_of(dist)))
    installed.check_commands(bare)
    return "import, --version, --help, keygen, init, check"


def check_first(dist: Path, folder: Path) -> str:
    """Serve the applications of the first pages from the wheel, and run their clients."""
    bare = installed.Bare(folder)
    bare.install(str(artifacts.wheel_of(dist)), *installed.SERVER)
    names = installed.check_first_pages(bare)
    if not names:
        raise RuntimeError("the first pages show no application")
    return f"signed in and called {', '.join(names)}"


def check_extras(dist: Path, folder: Path) -> str:
    """Resolve all extras together."""
    return ", ".join(installed.check_extras(installed.Bare(folder), artifacts.wheel_of(dist)))


CHECKS: dict[str, Callable[[Path, Path], str]] = {
    "build": check_build,
    "wheel": check_wheel,
    "tests": check_tests,
    "bare": check_bare,
    "first": check_first,
    "extras": check_extras,
}

if __name__ == "__main__":
    sys.exit(main())
