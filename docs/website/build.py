"""Build the site of this version: stage the pages, run Zensical, lay the versions out, check."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import tomlkit

from website import glossary
from website.layout import break_names, set_wide_limit
from website.links import site_faults
from website.pages import (
    ADDRESS,
    DOCS,
    ROOT,
    PageFault,
    first_sentence,
    pages,
    staged_text,
    url_of,
    version,
)
from website.rules import page_faults
from website.search import add_names
from website.translations import translation_faults, translations
from website.versions import LATEST, add_version, name_version

STAGE = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"
HERE = Path(__file__).parent


def build() -> Path:
    """Build `build/site` and return the folder of this version in it.

    Raises:
        PageFault: A page, a link, an anchor or a translation is not as it should be. All that
            was found is in the message.

    """
    folder = folder_of_version()
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    faults = stage()
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    environment = {**os.environ, "NO_COLOR": "1"}
    if subprocess.run(command, cwd=STAGE, env=environment, check=False).returncode:  # noqa: S603
        raise PageFault("\n".join([*faults, "Zensical found faults: see above"]))
    shutil.copytree(STAGE / "site", folder)
    set_wide_limit(folder)
    add_names(folder)
    for path in folder.rglob("*.html"):
        path.write_text(break_names(path.read_text("utf-8")), "utf-8")
    name_version(folder)
    add_version(SITE, folder.name)
    if faults := faults + site_faults(folder):
        raise PageFault("\n".join(faults))
    return folder


def folder_of_version() -> Path:
    """Return the folder of this version in the site, such as `build/site/0.2`."""
    return SITE / version().rpartition(".")[0]


def stage() -> list[str]:
    """Write the pages and the settings of Zensical into `build/docs`.

    Returns:
        What is wrong with the pages, one sentence each.

    """
    staged = pages()
    tag = f"v{version()}"
    settings = tomllib.loads((HERE / "zensical.toml").read_text("utf-8"))
    project = settings["project"]
    faults: list[str] = []
    descriptions: dict[str, str] = {}
    languages = page_languages(staged)
    for source, page in staged.items():
        markdown = (ROOT / source).read_text("utf-8")
        faults += page_faults(source, markdown)
        descriptions[page] = first_sentence(markdown).rstrip(":：")
        text, broken = staged_text(source, staged, tag)
        faults += broken
        front = {"description": descriptions[page], "source": page, **languages.get(source, {})}
        write_page(STAGE / "pages" / page, front, text)
    for path in ROOT.glob("README*.md"):  # no pages, but with links to check
        faults += staged_text(path.name, {**staged, path.name: path.name}, tag)[1]
    shutil.copytree(DOCS / "images", STAGE / "pages" / "images")
    shutil.copytree(HERE / "assets", STAGE / "pages" / "assets")
    shutil.copytree(HERE / "overrides", STAGE / "overrides")
    sections = {next(iter(entry)): in_navigation(entry) for entry in project["nav"]}
    listed = [page for inner in sections.values() for page in inner]
    faults += [f"{page} is not in the navigation" for page in staged.values() if page not in listed]
    faults += [
        f"{page} of the navigation is no page" for page in set(listed) - set(staged.values())
    ]
    faults += [
        f"{page} is {times} times in the navigation"
        for page, times in Counter(listed).items()
        if times > 1
    ]
    faults += translation_faults(set(settings["translated"])) + glossary.faults()
    project["site_url"] = f"{ADDRESS}{LATEST}/"
    project["plugins"]["llmstxt"]["sections"] = {
        title: [{page: descriptions.get(page, "")} for page in inner]
        for title, inner in sections.items()
    }
    (STAGE / "zensical.toml").write_text(tomlkit.dumps({"project": project}), "utf-8")
    return faults


def write_page(path: Path, front: dict[str, Any], text: str) -> None:
    """Write a page below its front matter, which the templates read."""
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in front.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["---", *lines, "---", "", text]), "utf-8")


def page_languages(staged: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return what the templates must know of the pages that exist in two languages.

    Returns:
        For each source the front matter: `language`, `alternate` (the address of the page in
        the other language, from the root of the site) and, for a stale translation, `stale`.

    """
    known: dict[str, dict[str, Any]] = {}
    for source, page in staged.items():
        if page.startswith("zh/"):
            known[source] = {"language": "zh"}
    for one in translations():
        source = f"docs/{one.page}"
        if source in staged and one.source in staged:
            known[source] = {"language": "zh", "alternate": url_of(staged[one.source]) or "./"}
            known[one.source] = {"alternate": url_of(staged[source])}
            if one.is_stale:
                known[source]["stale"] = True
    return known


def in_navigation(entry: Any) -> list[str]:
    """Return the pages below an entry of the navigation, in their order."""
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry
    return [page for part in inner for page in in_navigation(part)]
