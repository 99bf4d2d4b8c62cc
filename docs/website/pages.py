"""The pages of the site: which files they are, and what their links become."""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
REPOSITORY = "https://github.com/linqi/linqi"
ADDRESS = "https://linqi.github.io/linqi/"
# Addresses of files of the repository, and of pages of the site.
OF_REPOSITORY = re.compile(rf"{REPOSITORY}/(?:blob|tree|edit|raw)/[^/]+/([^?#]+)")
OF_SITE = re.compile(rf"{re.escape(ADDRESS)}[^/]+/([^?#]*)")
# Pages that GitHub wants at the root of the repository.
OF_THE_ROOT = {
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
}
FENCE = re.compile(r"^ *(`{3,}(?=[^`\n]*$)|~{3,})(.*)", re.M)
# Code in a line, which stays as it is; else a link, an image or `[name]: target`, with or without
# a title behind the target.
LINK = re.compile(
    r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)"
    r"|(?P<start>!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?|^ {0,3}\[(?!\^)[^\]]+\]: +<?)"
    r"(?P<target>(?<=<)[^<>]+|(?<!<)[^)\s<>]+)(?=>?(?:\)|\s+[\"']|\s*$))"
)
AUTOLINK = re.compile(r"(?<!\()<(https?://[^>\s]+)>")
EXAMPLE_MARK = re.compile(r"^<!-- (?:(?:example|output): \S+|end) -->\n", re.M)


class PageFault(Exception):
    """A page of the documentation is not as the site needs it.

    The message names the file and what to change.
    """


def version() -> str:
    """Return the version of the distribution, from `pyproject.toml`."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def pages() -> dict[str, str]:
    """Return each page's path from the repository's root, with its path on the site.

    Pages are all Markdown files of `docs/`; of `docs/examples/` those that are called README.md.
    """
    found = dict(OF_THE_ROOT)
    for path in sorted(DOCS.rglob("*.md")):
        inner = path.relative_to(DOCS)
        if inner.parts[0] == "examples" and path.name != "README.md":
            continue
        found[f"docs/{inner.as_posix()}"] = inner.as_posix()
    return found


def staged_text(source: str, staged: dict[str, str], tag: str) -> tuple[str, list[str]]:
    """Return the text of a page with links that work on the site, and the links that lead nowhere.

    Links to other pages stay relative. Links to other files of the repository become addresses
    of the file at the release `tag`; images stay, since they are copied beside the pages.

    Args:
        source: The page's path from the repository's root.
        staged: The answer of `pages`.
        tag: The git tag that the site is built for, such as `v0.2.0`.

    Returns:
        The text, and one sentence for each link that leads to no file of the repository.

    """
    here = staged[source]
    faults: list[str] = []

    def target_of(link: str) -> str:
        path, mark, anchor = link.partition("#")
        at = os.path.normpath(os.path.join(os.path.dirname(source), path))
        is_relative = path and ":" not in path and not path.startswith("/")
        if is_nowhere(link, staged) or (is_relative and not (ROOT / at).exists()):
            faults.append(f"{source}: the link {link!r} leads to no file")
        if not is_relative:
            return link
        if at in staged or f"{at}/README.md" in staged:
            to = staged.get(at) or staged[f"{at}/README.md"]
            return os.path.relpath(to, os.path.dirname(here) or ".") + mark + anchor
        if at.startswith("docs/images/"):
            return os.path.relpath(at.removeprefix("docs/"), os.path.dirname(here) or ".")
        kind = "tree" if (ROOT / at).is_dir() else "blob"
        return f"{REPOSITORY}/{kind}/{tag}/{at}{mark}{anchor}"

    def moved(found: re.Match[str]) -> str:
        return found["start"] + target_of(found["target"]) if found["target"] else found[0]

    lines = []
    for line, is_text in text_and_code((ROOT / source).read_text("utf-8")):
        if is_text:
            bare = [one for one in AUTOLINK.findall(line) if is_nowhere(one, staged)]
            faults += [f"{source}: the link {one!r} leads to no file" for one in bare]
            line = LINK.sub(moved, line)
        lines.append(line)
    return EXAMPLE_MARK.sub("", "".join(lines)), faults


def is_nowhere(address: str, staged: dict[str, str]) -> bool:
    """Return whether an address names a file of the repository, or a page, that is not there."""
    if found := OF_REPOSITORY.match(address):
        return not (ROOT / found[1]).exists()
    if found := OF_SITE.match(address):
        return found[1] not in map(url_of, staged.values())
    return False


def text_and_code(markdown: str) -> Iterator[tuple[str, bool]]:
    """Yield each line of a page, and whether it stands outside the fenced code."""
    fence = ""
    for line in markdown.splitlines(keepends=True):
        found = FENCE.match(line)
        yield line, not fence and not found
        if found and not fence:
            fence = found[1]
        elif found and found[1].startswith(fence) and not found[2].strip():
            fence = ""


def first_sentence(markdown: str) -> str:
    """Return what a page does for its reader: the first sentence below its title, as plain text."""
    body = re.split(r"^# .+$", markdown, maxsplit=1, flags=re.M)[-1]
    for part in re.split(r"\n\s*\n", body):
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)|[*`]|<[^>]+>", r"\1", part).strip()
        if FENCE.match(part):
            break
        if text and text[0] not in "|#-<>!":
            return re.split(r"(?<=[.。！？:：])(?:\s|(?<=[。！？：]))", " ".join(text.split()))[0]
    return ""


def url_of(page: str) -> str:
    """Return the address of a staged page, relative to the root of the site."""
    path = PurePosixPath(page)
    if path.name in {"README.md", "index.md"}:
        return "" if path.parent == PurePosixPath(".") else f"{path.parent}/"
    return f"{path.with_suffix('')}/"
