"""The versions of the site, side by side: ``python -m website.versions BUILT PUBLISHED``.

Needs nothing but Python: the job that may write to the repository installs no package.
"""

import json
import shutil
import sys
from pathlib import Path

from website.pages import ADDRESS

LATEST = "latest"


def name_version(folder: Path) -> None:
    """Let llms.txt and the Markdown pages in `folder` lead to that version, not to the latest."""
    for path in (*folder.rglob("*.txt"), *folder.rglob("*.md")):
        text = path.read_text("utf-8").replace(f"<{ADDRESS}{LATEST}/", f"<{ADDRESS}{folder.name}/")
        path.write_text(text, "utf-8")


def add_version(site: Path, name: str) -> None:
    """Enter the version `name`, a folder of `site`, into the list that the version menu reads.

    The newest version is also in the folder `latest`, which search engines are told to prefer and
    the address without a version leads to. Its page for wrong addresses and its llms.txt are also
    beside the versions: a host of static files answers with the one, programs ask for the other.

    Args:
        site: The folder that is published; it may hold earlier versions.
        name: The version, such as `0.2`.

    """
    listed = site / "versions.json"
    entries = json.loads(listed.read_text("utf-8")) if listed.exists() else []
    names = {entry["version"] for entry in entries} | {name}
    ordered = sorted(names, key=lambda one: [int(part) for part in one.split(".")], reverse=True)
    newest = ordered[0]
    listed.write_text(
        json.dumps(
            [
                {"version": one, "title": one, "aliases": [LATEST] if one == newest else []}
                for one in ordered
            ],
            indent=2,
        )
        + "\n"
    )
    shutil.rmtree(site / LATEST, ignore_errors=True)
    shutil.copytree(site / newest, site / LATEST)
    for shared in ("404.html", "llms.txt"):
        shutil.copy(site / newest / shared, site / shared)
    (site / "index.html").write_text(
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>linqi</title>\n'
        f'<meta http-equiv="refresh" content="0; url={LATEST}/">\n'
        f'<link rel="canonical" href="{LATEST}/">\n<a href="{LATEST}/">linqi</a>\n'
    )
    (site / ".nojekyll").touch()


def publish(built: Path, published: Path) -> str:
    """Lay the version that was built beside the versions that were published, and return its name.

    Args:
        built: The folder `build/site` of the version.
        published: The folder that is published; it may hold earlier versions, and this one.

    """
    (entry,) = json.loads((built / "versions.json").read_text("utf-8"))
    name = str(entry["version"])
    shutil.rmtree(published / name, ignore_errors=True)
    shutil.copytree(built / name, published / name)
    add_version(published, name)
    return name


if __name__ == "__main__":
    print(publish(Path(sys.argv[1]), Path(sys.argv[2])))
