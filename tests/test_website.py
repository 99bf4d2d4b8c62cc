"""The documentation site: what its checks find, and what a reader's browser loads and finds."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

import linqi
from website import pages as website_pages
from website import translations
from website.layout import WIDE, break_names, set_wide_limit
from website.links import site_faults
from website.pages import ROOT, first_sentence, pages, staged_text
from website.rules import page_faults
from website.search import named_rows
from website.versions import add_version, name_version, publish


def site_of(folder: Path, **files: str) -> Path:
    """Write a site of the given pages, whose names are written with `__` for the slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/") / "index.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="../b/">b</a>', "leads to no page"),
        ('<a href="#c">c</a>', "leads to no heading"),
        ('<a href="../c/#nothing">c</a>', "leads to no heading"),
        ('<a href="/c/">c</a>', "below the address of a version"),
        ('<script src="https://cdn.example/x.js"></script>', "another host"),
        ('<img src="//cdn.example/x.png">', "another host"),
        ('<link rel="stylesheet" href="https://fonts.example/a.css">', "another host"),
        ('<img src="x.png">', "no file of the site"),
        ('<pre class="mermaid">graph</pre>', "another host"),
        ('<img srcset="x.png 1x, https://cdn.example/x.png 2x">', "another host"),
        ('<object data="https://cdn.example/x.svg"></object>', "another host"),
        ('<audio src="https://cdn.example/x.mp3"></audio>', "another host"),
        ('<video poster="https://cdn.example/x.png"></video>', "another host"),
        ('<link rel="alternate stylesheet" href="https://fonts.example/a.css">', "another host"),
        ("<p style=\"background: url( 'https://cdn.example/x.png')\">x</p>", "another host"),
        ('<style>@import "https://fonts.example/a.css";</style>', "another host"),
        ('<script>import("https://cdn.example/x.js")</script>', "another host"),
        ('<a href="../../outside.txt">x</a>', "out of the site"),
        ('<a href="javascript:go()">x</a>', "no address of a page"),
        ('<a href="https://linqi.github.io/linqi/latest/b/">x</a>', "leads to no page"),
        ('<a href="https://linqi.github.io/linqi/0.2/c/#nothing">x</a>', "leads to no heading"),
        ('<a href="#a" id="a" ping="https://t.example/">x</a>', "another host"),
        ('<iframe srcdoc="&lt;img src=https://t.example/x.png&gt;"></iframe>', "another host"),
        ('<form action="https://t.example/"></form>', "another host"),
        ('<meta http-equiv="refresh" content="0; url=https://t.example/">', "another host"),
        ('<base href="https://t.example/">', "another host"),
        ('<link rel="preload" as="image" imagesrcset="//t.example/x.png 1x">', "another host"),
        ('<svg><image xlink:href="https://t.example/x.png"/></svg>', "another host"),
        ("<p onclick=\"fetch('https://t.example/')\">x</p>", "another host"),
        ('<script>const to = "https://t.example/"; send(to)</script>', "another host"),
        ('<script>new Image().src = "//t.example/x.gif"</script>', "another host"),
        ('<img src="there.png">', "without a text"),
        ('<img src="there.png" alt="">', "without a text"),
        ('<p id="a">one</p><p id="a">two</p>', "the id 'a' 2 times"),
    ],
)
def test_a_page_with_a_fault_is_found(tmp_path: Path, html: str, fault: str) -> None:
    """Each kind of broken link, and each way to load something from outside, is a fault."""
    (tmp_path / "outside.txt").touch()
    site = site_of(tmp_path / "site", a=html, c='<h2 id="there">c</h2>')
    found = "; ".join(site_faults(site))
    assert fault in found


def test_a_sound_page_has_no_fault(tmp_path: Path) -> None:
    """Links to pages, headings, other sites and the page itself lead somewhere."""
    links = '<a href="../c/#there"></a><a href="#a" id="a"></a><a href="https://x.example/"></a>'
    assert site_faults(site_of(tmp_path, a=links, c='<h2 id="there">c</h2>')) == []


def test_the_page_of_wrong_addresses_loads_nothing_from_outside(tmp_path: Path) -> None:
    """404.html has absolute links, which are right there; a script of another host is not."""
    (tmp_path / "404.html").write_text('<a href="/c/">c</a><script src="/assets/x.js"></script>')
    assert site_faults(tmp_path) == []
    (tmp_path / "404.html").write_text('<script src="https://cdn.example/x.js"></script>')
    assert len(site_faults(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.css", "@font-face { src: url(https://fonts.example/a.woff2) }"),
        ("a.css", '@import"https://fonts.example/a.css";'),
        ("a.css", 'p { background: image-set("a.png" 1x, "//t.example/a.png" 2x) }'),
        ("a.css", r"p { background: url(\68ttps://t.example/a.png) }"),
        ("a.css", "p { background: url(nothing.png) }"),
        ("a.js", 'navigator.sendBeacon("https://t.example/")'),
        ("a.js", 'new WebSocket("wss://t.example/")'),
        ("a.svg", '<svg><image href="https://t.example/a.png"/></svg>'),
        ("a.svg", "<svg><style>@import url(https://fonts.example/a.css);</style></svg>"),
    ],
)
def test_a_file_beside_the_pages_loads_nothing_from_outside(
    tmp_path: Path, name: str, text: str
) -> None:
    """What a stylesheet, a script or a picture names of another host is found as in a page."""
    (tmp_path / name).write_text(text)
    (fault,) = site_faults(tmp_path)
    assert fault.startswith(f"{name} loads ")


def test_what_only_looks_like_another_host_is_no_fault(tmp_path: Path) -> None:
    """A namespace, a licence in a comment, a link of a picture, an address in an image's text."""
    (tmp_path / "a.css").write_text("/*! https://t.example */ p { background: url(a.svg) }")
    (tmp_path / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><a href="https://t.example/">a</a></svg>'
    )
    (tmp_path / "index.html").write_text('<img src="a.svg" alt="what https://t.example/ answers">')
    assert site_faults(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# A\n\n```sh\nrun\n```\n\n## Limits\n\n- x\n", "does not say"),
        ("# A\n\nDo it.\n\n## More\n", "does not end"),
        ("# A\n\nDo it.\n\n## Limits\n\n## More\n", "does not end"),
        ("# A\n\nDo it.\n\n# B\n\n## Limits\n\n- x\n", "2 titles"),
        ("# A\n\n- a list\n\nDo it.\n\n## Limits\n\n- x\n", "does not say"),
        ("# A\n\nDo it.\n\n## Limits\n", "an empty section"),
        ("# A\n\nDo it.\n\n## B\n\n## b\n\n## Limits\n\n- x\n", "'b' 2 times"),
        ("# A\n\nDo it.\n\n## B\n\n#### C\n\n## Limits\n\n- x\n", "2 levels below"),
    ],
)
def test_a_page_says_what_it_does_and_ends_with_limits(text: str, fault: str) -> None:
    """A page begins with a sentence, not with code, and its last section is known."""
    (found,) = page_faults("docs/guides/a.md", text)
    assert fault in found


def test_a_heading_in_code_is_no_heading() -> None:
    """A comment of a shell in a code block does not count as a title or a section."""
    text = "# A\n\nDo it.\n\n```sh\n# not a title\n## not a section\n```\n\n## Limits\n\n- x\n"
    assert page_faults("docs/guides/a.md", text) == []


def test_the_first_sentence_is_plain_text() -> None:
    """Search results and llms.txt show it without marks and addresses."""
    text = "# A\n\n<!-- note -->\n\nKeep *users* [signed in](b.md) with `linqi`. Then more.\n"
    assert first_sentence(text) == "Keep users signed in with linqi."
    assert first_sentence("# 甲\n\n双 token 无感刷新。滑动过期。\n") == "双 token 无感刷新。"


def test_links_to_files_of_the_repository_name_the_release() -> None:
    """A page of version 0.2.0 leads to the code of that version, not to that of today."""
    text, faults = staged_text("docs/quickstart.md", pages(), "v9.9.9")
    assert faults == []
    assert "/blob/v9.9.9/docs/examples/" in text
    assert not re.search(r"\]\(examples/", text)


def staged_page(folder: Path, patch: pytest.MonkeyPatch, text: str) -> tuple[str, list[str]]:
    """Return what the site gets of a page docs/a.md beside b.md, x.py and images/y.svg."""
    (folder / "docs" / "images").mkdir(parents=True)
    for name in ("docs/b.md", "docs/x.py", "docs/images/y.svg"):
        (folder / name).touch()
    (folder / "docs" / "a.md").write_text(text)
    patch.setattr(website_pages, "ROOT", folder)
    return staged_text("docs/a.md", {"docs/a.md": "a.md", "docs/b.md": "b.md"}, "v1")


@pytest.mark.parametrize(
    ("link", "staged"),
    [
        ('[x](x.py "t")', '[x](CODE/x.py "t")'),
        ("[x](<x.py>)", "[x](<CODE/x.py>)"),
        ("[b](<b.md>)", "[b](<b.md>)"),
        ("[x]: x.py", "[x]: CODE/x.py"),
        ('[x]: x.py "t"', '[x]: CODE/x.py "t"'),
        ('![y](images/y.svg "t")', '![y](images/y.svg "t")'),
        ("`[x](x.py)` and [x](x.py)", "`[x](x.py)` and [x](CODE/x.py)"),
        ("``a`[x](x.py)``", "``a`[x](x.py)``"),
        ("[`x`](x.py)", "[`x`](CODE/x.py)"),
        ("````\n```\n[x](x.py)\n```\n[x](x.py)\n````", None),
        ("```sh\n[x](x.py)\n```\n[x](x.py)", "```sh\n[x](x.py)\n```\n[x](CODE/x.py)"),
    ],
)
def test_each_form_of_a_link_is_moved_and_code_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str, staged: str | None
) -> None:
    """Titles, angle brackets and references are links; what looks like one in code is none."""
    text, faults = staged_page(tmp_path, monkeypatch, link)
    code = "https://github.com/linqi/linqi/blob/v1/docs"
    assert (text, faults) == ((staged or link).replace("CODE", code), [])


@pytest.mark.parametrize(
    "link",
    [
        "[n](n.md)",
        '[n](n.md "t")',
        "[n](<n n.md>)",
        "[n]: n.md",
        '![n](images/n.svg "t")',
        "[n](https://github.com/linqi/linqi/blob/main/docs/n.py)",
        "[n](https://linqi.github.io/linqi/latest/n/)",
        "<https://linqi.github.io/linqi/latest/n/>",
        "<https://github.com/linqi/linqi/blob/main/docs/n.py>",
    ],
)
def test_each_form_of_a_broken_link_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    """Addresses of the repository's files and of the site's pages count as well."""
    text = link if "]:" in link else f"| [b](b.md) | {link} |"
    _, faults = staged_page(tmp_path, monkeypatch, text)
    assert len(faults) == 1


@pytest.fixture
def chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up a repository with one English page and its translation, and return its root."""
    (tmp_path / "docs" / "zh").mkdir(parents=True)
    (tmp_path / "docs" / "a.md").write_text("# A\n")
    (tmp_path / "docs" / "zh" / "a.md").write_text("# 甲\n")
    digest = hashlib.sha256(b"# A\n").hexdigest()
    entries = f'["zh/a.md"]\nsource = "docs/a.md"\nsha256 = "{digest}"\n'
    (tmp_path / "docs" / "zh" / "translations.toml").write_text(entries)
    monkeypatch.setattr(translations, "ROOT", tmp_path)
    monkeypatch.setattr(translations, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(translations, "LIST", tmp_path / "docs" / "zh" / "translations.toml")
    return tmp_path


def test_a_changed_page_whose_translation_is_not_marked_is_found(chinese: Path) -> None:
    """Marking it as stale, or bringing the translation up to date, ends the fault."""
    assert translations.translation_faults({"docs/a.md"}) == []
    (chinese / "docs" / "a.md").write_text("# A, changed\n")
    (fault,) = translations.translation_faults({"docs/a.md"})
    assert "has changed since zh/a.md was translated" in fault
    listed = chinese / "docs" / "zh" / "translations.toml"
    listed.write_text(listed.read_text() + "stale = true\n")
    assert translations.translation_faults({"docs/a.md"}) == []
    translations.mark_translated("zh/a.md")
    assert translations.translation_faults({"docs/a.md"}) == []
    assert "stale" not in listed.read_text().replace(translations.HEAD, "")


def test_a_missing_or_unlisted_translation_is_found(chinese: Path) -> None:
    """A required page without a translation, and a Chinese page without an entry, are faults."""
    (chinese / "docs" / "zh" / "b.md").write_text("# 乙\n")
    faults = translations.translation_faults({"docs/a.md", "docs/b.md"})
    assert faults == [
        "docs/b.md has no Chinese translation",
        "zh/b.md is not in docs/zh/translations.toml",
    ]


def test_a_misspelt_key_of_a_translation_is_found(chinese: Path) -> None:
    """`stalee = true` would else leave a page without its notice."""
    listed = chinese / "docs" / "zh" / "translations.toml"
    listed.write_text(listed.read_text() + "stalee = true\n")
    (fault,) = translations.translation_faults(set())
    assert "'stalee'; expected source" in fault


def test_a_translation_of_today_is_not_stale(chinese: Path) -> None:
    """The mark is taken away when it no longer holds, or readers would be sent away for nothing."""
    listed = chinese / "docs" / "zh" / "translations.toml"
    listed.write_text(listed.read_text() + "stale = true\n")
    (fault,) = translations.translation_faults(set())
    assert "marked as stale" in fault


def test_a_translation_of_a_page_that_is_gone_is_found(chinese: Path) -> None:
    """A page that was moved or deleted is a fault of its translation, also of a stale one."""
    (chinese / "docs" / "a.md").unlink()
    faults = "; ".join(translations.translation_faults(set()))
    assert "zh/a.md follows docs/a.md, which is no file" in faults
    listed = chinese / "docs" / "zh" / "translations.toml"
    listed.write_text(listed.read_text() + "stale = true\n")
    faults = "; ".join(translations.translation_faults(set()))
    assert "zh/a.md follows docs/a.md, which is no file" in faults


def test_tabs_and_columns_show_from_1200_px(tmp_path: Path) -> None:
    """The theme's limit becomes 1,200 px in styles and script; a theme with another one fails."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "a.css").write_text("@media (min-width:76.25em){} @media (max-width:76.234375em){}")
    (assets / "a.js").write_text('match("(min-width: 76.25em)")')
    set_wide_limit(tmp_path)
    assert "(min-width:75em)" in (assets / "a.css").read_text()
    assert "(min-width: 75em)" in (assets / "a.js").read_text()
    assert not any(old in path.read_text() for old in WIDE for path in assets.iterdir())
    with pytest.raises(website_pages.PageFault, match="another limit of width"):
        set_wide_limit(tmp_path)


def test_each_name_in_a_table_has_an_anchor_and_an_entry_of_the_search() -> None:
    """The code of a log line, or a key with its table and variable, is found by itself."""
    html = (
        '<h2 id="codes">Codes</h2><table><tr><th>code</th></tr>'
        "<tr><td><code>no_token</code></td><td>none <b>there</b></td></tr></table>"
        "<p><strong><code>[renewal]</code></strong></p>"
        "<table><tr><td><code>buffer_seconds</code></td></tr><tr><td>no name</td></tr>"
        "<tr><td><code>buffer_seconds</code></td></tr></table>"
    )
    page, (code, key, again) = named_rows(html, 0)
    assert page.count("<tr id=") == 3
    assert again["location"] == f"{key['location']}-2"
    assert (code["location"], code["title"]) == ("codes-no_token", "no_token")
    assert code["text"] == "<p>no_token none there</p>"
    assert f'<tr id="{key["location"]}"><td><code>buffer_seconds' in page
    assert "LINQI_RENEWAL__BUFFER_SECONDS" in key["text"]


def test_a_long_name_in_a_table_breaks_between_its_words() -> None:
    """Short names, names outside tables and what surrounds the code stay as they are."""
    cell = (
        "<td><code>linqi_sessions_lost_total</code> <code>invalid_grant</code> long_long_long_long"
    )
    text = "</td><p><code>linqi_sessions_lost_total</code></p>"
    broken = "<td><code>linqi_<wbr>sessions_<wbr>lost_<wbr>total</code>"
    assert break_names(cell + text) == cell.replace(cell.split(" ")[0], broken) + text
    assert "Linqi<wbr>Sessions<wbr>Lost" in break_names("<td><code>LinqiSessionsLost</code></td>")


def test_llms_txt_leads_to_the_pages_of_its_own_version(tmp_path: Path) -> None:
    """When 0.3 is the latest, the list of 0.2 still describes the pages that it links."""
    (tmp_path / "0.2").mkdir()
    listed = tmp_path / "0.2" / "llms.txt"
    listed.write_text("[a](<https://linqi.github.io/linqi/latest/a/index.md>)")
    name_version(tmp_path / "0.2")
    assert listed.read_text() == "[a](<https://linqi.github.io/linqi/0.2/a/index.md>)"


def version_of(folder: Path) -> Path:
    """Make a version's folder whose three files hold its name."""
    folder.mkdir(parents=True)
    for name in ("index.html", "404.html", "llms.txt"):
        (folder / name).write_text(folder.name)
    return folder


def test_versions_stand_beside_each_other(tmp_path: Path) -> None:
    """The newest is what the address without a version leads to, in whatever order they came."""
    for version in ("0.9", "0.10", "0.2"):
        version_of(tmp_path / version)
        add_version(tmp_path, version)
    listed = json.loads((tmp_path / "versions.json").read_text())
    assert [entry["version"] for entry in listed] == ["0.10", "0.9", "0.2"]
    assert [entry["aliases"] for entry in listed] == [["latest"], [], []]
    assert (tmp_path / "latest" / "index.html").read_text() == "0.10"
    assert "url=latest/" in (tmp_path / "index.html").read_text()
    # GitHub Pages answers a wrong address with the 404.html of the root, and with no other.
    assert (tmp_path / "404.html").read_text() == "0.10"
    assert (tmp_path / "llms.txt").read_text() == "0.10"


def test_a_version_that_is_published_again_replaces_itself_alone(tmp_path: Path) -> None:
    """A job that is run again leaves no page of its first run, and the earlier versions as is."""
    for version, page in (("0.2", "old.html"), ("0.3", "lost.html"), ("0.3", "new.html")):
        built = tmp_path / f"built-{page}"
        (version_of(built / version) / page).touch()
        add_version(built, version)
        assert publish(built, tmp_path / "published") == version
    found = (path.relative_to(tmp_path / "published") for path in tmp_path.rglob("published/*/*"))
    pages_of_runs = {path.as_posix() for path in found if path.stem in {"old", "lost", "new"}}
    assert pages_of_runs == {
        "0.2/old.html",
        "0.3/new.html",
        "latest/new.html",
    }
    listed = json.loads((tmp_path / "published" / "versions.json").read_text())
    assert [entry["version"] for entry in listed] == ["0.3", "0.2"]


def test_every_public_name_is_in_the_reference_once() -> None:
    """A name that is importable from linqi has its docstring on one page of the API reference."""
    listed = Counter(
        name
        for page in (ROOT / "docs" / "reference" / "api").glob("*.md")
        for name in re.findall(r"^::: linqi\.(\w+)$", page.read_text(), re.M)
    )
    of_modules = {"Event", "Hook", "LinqiError", "ConfigurationError", "TokenError"}
    names = set(linqi.__all__) - of_modules  # linqi.events and linqi.errors have their own pages
    assert {name: listed[name] for name in names if listed[name] != 1} == {}
