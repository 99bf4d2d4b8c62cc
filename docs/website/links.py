"""Check the built site: links and anchors lead somewhere, nothing is loaded from outside."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Elements that a browser loads by itself, and the attribute that says from where.
LOADED = {"script": "src", "img": "src", "source": "srcset", "iframe": "src", "video": "src"}
# A `link` of these kinds names a document; a browser does not load it.
NAMES_ONLY = {"canonical", "alternate", "prev", "next", "describedby"}
# What the theme would load a script of another host for.
LOADS_LATER = {"mermaid", "arithmatex", "glightbox"}


@dataclass(slots=True)
class Page(HTMLParser):
    """What one HTML file defines and refers to.

    Attributes:
        anchors: The ids in the file.
        targets: What links of readers lead to.
        loads: What a browser loads with the page.

    """

    anchors: set[str] = field(default_factory=set)
    targets: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the ids and references of one element."""
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found.get("id", ""), found.get("name", "")}
        self.loads += [name for name in found.get("class", "").split() if name in LOADS_LATER]
        if tag == "a" and "href" in found:
            self.targets.append(found["href"])
        if tag == "link" and not NAMES_ONLY & set(found.get("rel", "").split()):
            self.loads.append(found["href"])
        if found.get(LOADED.get(tag, "")):
            self.loads.append(found[LOADED[tag]])


def site_faults(site: Path) -> list[str]:
    """Return what is wrong with the built site in the folder `site`, one sentence each."""
    pages = {path.resolve(): read_page(path) for path in site.rglob("*.html")}
    faults = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        if name.name == "404.html":  # is served below any address, so its links are absolute
            continue
        for target in page.loads:
            if urlsplit(target).netloc or target in LOADS_LATER:
                faults.append(f"{name} loads {target} from another host")
            elif not file_of(path, target).is_file():
                faults.append(f"{name} loads {target}, which is no file of the site")
        for target in page.targets:
            fault = fault_of_link(path, target, pages)
            if fault:
                faults.append(f"{name}: {target!r} {fault}")
    for path in site.rglob("*.css"):
        outside = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]*)", path.read_text())
        name = path.relative_to(site)
        faults += [f"{name} loads {target} from another host" for target in outside]
    return sorted(set(faults))


def read_page(path: Path) -> Page:
    """Return what an HTML file defines and refers to."""
    page = Page()
    page.feed(path.read_text())
    return page


def fault_of_link(path: Path, target: str, pages: dict[Path, Page]) -> str:
    """Return what is wrong with a link on the page at `path`; "" if it leads somewhere."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return ""
    if parts.path.startswith("/"):
        return "does not work below the address of a version"
    at = file_of(path, target)
    if not at.is_file():
        return "leads to no page"
    if parts.fragment and at in pages and unquote(parts.fragment) not in pages[at].anchors:
        return "leads to no heading"
    return ""


def file_of(path: Path, target: str) -> Path:
    """Return the file that a relative reference on the page at `path` names."""
    inner = unquote(urlsplit(target).path)
    at = (path.parent / inner).resolve() if inner else path
    return at / "index.html" if at.is_dir() else at
