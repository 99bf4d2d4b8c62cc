"""The two files of a release: built, compared and read."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

from release_check.versions import ROOT

PACKAGES = {"linqi", "linqi_bench", "linqi_report", "linqi_storm", "linqi_tune"}


def build(folder: Path, source: Path = ROOT, *targets: str) -> list[Path]:
    """Build the `targets` (sdist and wheel if none are given) of `source` into `folder`.

    The times in the files are those of `SOURCE_DATE_EPOCH`, so that two builds of one commit are
    equal; without that variable they are those of the last commit.

    Returns:
        The files that were built.

    """
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    options = [part for target in targets for part in ("-t", target)]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *options],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or _time()},
        check=True,
        capture_output=True,
    )
    return sorted(set(folder.iterdir()) - before)


def _time() -> str:
    git = shutil.which("git")
    commit = ""
    if git is not None:
        command = [git, "log", "-1", "--format=%ct"]
        log = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        commit = log.stdout.strip()
    return commit or "1764547200"


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a release in `folder`, by name."""
    files = [*folder.glob("*.whl"), *folder.glob("*.tar.gz")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def wheel_of(folder: Path) -> Path:
    """Return the only wheel in `folder`."""
    (wheel,) = folder.glob("*.whl")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files in a wheel, by name, without the list of their digests."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: archive.read(name)
            for name in archive.namelist()
            if not name.endswith(".dist-info/RECORD")
        }


def unpack(folder: Path, into: Path) -> Path:
    """Unpack the only sdist in `folder` and return its root."""
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    (root,) = into.iterdir()
    return root


def wheel_faults(wheel: Path) -> list[str]:
    """Return what is wrong with the content of a wheel, one sentence each."""
    files = contents(wheel)
    tops = {name.split("/")[0] for name in files if ".dist-info/" not in name}
    faults = [f"the wheel has a package {name!r} too" for name in sorted(tops - PACKAGES)]
    faults += [f"the wheel lacks the package {name!r}" for name in sorted(PACKAGES - tops)]
    faults += [
        f"the wheel lacks {name}/py.typed"
        for name in sorted(PACKAGES)
        if f"{name}/py.typed" not in files
    ]
    faults += [f"the wheel has {name}" for name in files if name.endswith((".pyc", ".so", ".pyd"))]
    if not any(name.endswith("/licenses/LICENSE") for name in files):
        faults.append("the wheel lacks the licence")
    return faults + description_faults(metadata_of(wheel))


def metadata_of(wheel: Path) -> Message:
    """Return the fields of a wheel, with its description as the body."""
    files = contents(wheel)
    (name,) = (name for name in files if name.endswith(".dist-info/METADATA"))
    return message_from_string(files[name].decode())


def description_faults(message: Message) -> list[str]:
    """Return what would not work on the page of the package, which has no relative links."""
    body = str(message.get_payload())
    faults = []
    if message["Metadata-Version"] != "2.4":
        faults.append(f"METADATA has version {message['Metadata-Version']}, which twine 6 refuses")
    if message["Description-Content-Type"] != "text/markdown":
        faults.append(f"the description is {message['Description-Content-Type']}")
    links = re.findall(r"\]\(([^)\s]+)", body) + re.findall(r"(?:src|href)=\"([^\"]+)", body)
    links += re.findall(r"^\[[^\]]+\]: *(\S+)", body, re.M)
    faults += [f"the description links to {to}" for to in links if not to.startswith("https://")]
    if not links:
        faults.append("the description has no links")
    if "$HFPR" in body or "<!-- " in body:
        faults.append("the description has what its build should replace")
    return faults
