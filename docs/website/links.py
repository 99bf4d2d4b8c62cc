"""Check the built site: links and anchors lead somewhere, nothing is loaded from outside."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from website.pages import OF_SITE

# Attributes that name what a browser loads by itself; `data` and `href` only of these elements.
LOADED = {"src", "srcset", "poster", "background"}
LOADED_OF = {"object": "data", "image": "href", "use": "href"}
# A `link` of these kinds names a document; a browser does not load it.
NAMES_ONLY = {"canonical", "alternate", "translation", "prev", "next", "describedby"}
# Attributes that are text: what else names another host is loaded from there, or tells it.
TEXTS = {"alt", "aria-label", "content", "title", "value"}
# The namespaces of XML, which look like addresses, are no address to load from.
OUTSIDE = re.compile(
    r"(?:https?|wss?)://(?!www\.w3\.org/)[^\s\"'`)<>]+|(?<![^\s\"'`(=,])//[\w-]+\.[^\s\"'`)<>]+",
    re.I,
)
STYLE_URL = re.compile(r"url\(\s*[\"']?(?!data:)([^\"')]+)", re.I)
# Of a stylesheet, and of the pictures within it.
COMMENT = re.compile(r"/\*.*?\*/|(?:<|\\3c )!--.*?--(?=>)", re.S)
# The theme's own scripts name hosts of features that the settings leave out.
OF_THE_THEME = "assets/javascripts/"
SCHEMES = {"", "http", "https", "mailto"}
# What the theme would load a script of another host for.
LOADS_LATER = {"mermaid", "arithmatex", "glightbox"}


@dataclass(slots=True)
class Page(HTMLParser):
    """What one HTML file defines and refers to.

    Attributes:
        ids: The ids in the file, as often as they are there.
        anchors: What a link can lead to: these, and names.
        targets: What links of readers lead to.
        loads: What a browser loads with the page.
        untold: The images without a text for who cannot see them.

    """

    ids: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    targets: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the ids and references of one element."""
        found = {name: value or "" for name, value in attrs}
        self.ids += [found["id"]] if found.get("id") else []
        self.anchors |= {found.get("id", ""), found.get("name", "")}
        self.loads += [name for name in found.get("class", "").split() if name in LOADS_LATER]
        if tag in {"a", "area"} and "href" in found:
            self.targets.append(found["href"])
        if tag == "link" and not set(found.get("rel", "").split()) <= NAMES_ONLY:
            self.loads.append(found.get("href", ""))
        for name in {*LOADED, LOADED_OF.get(tag, "")} & found.keys():
            parts = found[name].split(",") if name == "srcset" else [found[name]]
            self.loads += [part.split()[0] for part in parts if part.strip()]
        for name, value in found.items():
            if not self.is_text(tag, name, found):
                self.loads += OUTSIDE.findall(value)
        if tag == "img" and not found.get("alt"):
            self.untold.append(found.get("src", ""))

    @staticmethod
    def is_text(tag: str, name: str, found: dict[str, str]) -> bool:
        """Return whether an attribute may name another host: a link that a reader follows, text."""
        if name == "href":
            return tag in {"a", "area", "link"}  # of `link`, the kinds are judged above
        if name == "content":
            return "http-equiv" not in found
        return name in TEXTS or name.startswith("xmlns")

    def handle_data(self, data: str) -> None:
        """Take what a style or a script in the page names of another host."""
        if self.cdata_elem:  # the parser is in an element that is no text: script or style
            self.loads += OUTSIDE.findall(data)


def site_faults(site: Path) -> list[str]:
    """Return what is wrong with the built site in the folder `site`, one sentence each."""
    pages = {path.resolve(): read_page(path) for path in site.rglob("*.html")}
    faults = []
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        is_404 = name.name == "404.html"  # is served below any address: its links are absolute
        for target in page.loads:
            if urlsplit(target).netloc or target in LOADS_LATER:
                faults.append(f"{name} loads {target} from another host")
            elif not is_404 and not file_of(path, target).is_file():
                faults.append(f"{name} loads {target}, which is no file of the site")
        for target in [] if is_404 else page.targets:
            fault = fault_of_link(path, target, pages, site.resolve())
            if fault:
                faults.append(f"{name}: {target!r} {fault}")
        faults += [
            f"{name} shows {image} without a text that says what it shows" for image in page.untold
        ]
        faults += [
            f"{name} has the id {each!r} {times} times"
            for each, times in Counter(page.ids).items()
            if times > 1
        ]
    for path in site.rglob("*"):
        if path.suffix in {".css", ".js", ".svg"}:
            faults += asset_faults(path, path.relative_to(site).as_posix())
    return sorted(set(faults))


def asset_faults(path: Path, name: str) -> list[str]:
    """Return what a stylesheet, a script or a picture loads from outside, one sentence each."""
    text = COMMENT.sub("", path.read_text("utf-8"))
    if path.suffix == ".svg":
        outside = read_page(path).loads
    elif name.startswith(OF_THE_THEME):
        outside = []
    else:
        outside = OUTSIDE.findall(text)
    faults = [f"{name} loads {target} from another host" for target in outside]
    if path.suffix == ".css":
        faults += [
            f"{name} loads {target}, which is no file of the site"
            for target in STYLE_URL.findall(text)
            if not OUTSIDE.match(target) and not file_of(path, target).is_file()
        ]
    return faults


def read_page(path: Path) -> Page:
    """Return what an HTML file defines and refers to."""
    page = Page()
    page.feed(path.read_text("utf-8"))
    return page


def fault_of_link(path: Path, target: str, pages: dict[Path, Page], site: Path) -> str:
    """Return what is wrong with a link on the page at `path`; "" if it leads somewhere."""
    if own := OF_SITE.match(target):
        path, target = site / "index.html", f"./{own[1]}{target[own.end() :]}"
    parts = urlsplit(target)
    if parts.scheme not in SCHEMES:
        return "is no address of a page"
    if parts.scheme or parts.netloc:
        return ""
    if parts.path.startswith("/"):
        return "does not work below the address of a version"
    at = file_of(path, target)
    if not at.is_file():
        return "leads to no page"
    if not at.is_relative_to(site):
        return "leads out of the site"
    if parts.fragment and at in pages and unquote(parts.fragment) not in pages[at].anchors:
        return "leads to no heading"
    return ""


def file_of(path: Path, target: str) -> Path:
    """Return the file that a relative reference on the page at `path` names."""
    inner = unquote(urlsplit(target).path)
    at = (path.parent / inner).resolve() if inner else path
    return at / "index.html" if at.is_dir() else at
