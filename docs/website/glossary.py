"""The terms of both languages: `glossary.toml` is kept by the pages and by the page of terms.

`python -m website glossary` writes the table of the page from the file.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from website.pages import DOCS, ROOT

DATA = Path(__file__).parent / "glossary.toml"
PAGE = "docs/zh/glossary.md"
HEAD = "| English | 中文 | 不用 | 页面 |\n|---|---|---|---|\n"
TABLE = re.compile(r"(?<=<!-- glossary -->\n).*?(?=<!-- end -->)", re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term in both languages.

    Attributes:
        english: As the English pages write it.
        chinese: As the Chinese pages write it.
        avoid: Chinese words that no Chinese page uses for it.
        where: The English page that uses the term, from the repository's root, below `docs/`.
        zh: The Chinese page that uses it, from the repository's root, in `docs/zh/`.

    """

    english: str
    chinese: str
    avoid: tuple[str, ...] = ()
    where: str
    zh: str


def terms() -> list[Term]:
    """Return the terms in the order of `glossary.toml`."""
    entries = tomllib.loads(DATA.read_text("utf-8"))["term"]
    return [Term(**entry | {"avoid": tuple(entry.get("avoid", ()))}) for entry in entries]


def chinese_pages() -> dict[str, str]:
    """Return the text of each Chinese page but the page of terms, by its path from the root."""
    paths = [*sorted((DOCS / "zh").rglob("*.md")), *sorted(ROOT.glob("README.zh*.md"))]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    texts.pop(PAGE, None)
    return texts


def glossary_faults(listed: list[Term], page: str, chinese: dict[str, str]) -> list[str]:
    """Return where the pages and the terms differ, one sentence each.

    Args:
        listed: The terms.
        page: The text of the page of terms.
        chinese: The answer of `chinese_pages`.

    """
    faults = []
    for term in listed:
        for name, text in chinese.items():
            faults += [
                f"{name} uses {word!r}; the term for {term.english!r} is {term.chinese!r}"
                for word in term.avoid
                if word in text
            ]
        if term.zh not in chinese or term.chinese not in chinese[term.zh]:
            faults.append(f"{term.zh} does not use {term.chinese!r}, the term of the glossary")
        english = ROOT / term.where
        if not english.is_file() or term.english.lower() not in plain(english.read_text("utf-8")):
            faults.append(f"{term.where} does not use {term.english!r}, a term of the glossary")
    if (found := TABLE.search(page)) is None or found[0] != table(listed):
        faults.append(
            f"the table of {PAGE} is not that of {DATA.name}: run `python -m website glossary`"
        )
    return faults


def plain(text: str) -> str:
    """Return a text in lower case with single spaces, without marks of emphasis."""
    return " ".join(re.sub(r"[*_`]", "", text.lower()).split())


def table(listed: list[Term]) -> str:
    """Return the table of the page of terms."""
    rows = [
        f"| {term.english} | {term.chinese} | {'、'.join(term.avoid)} "
        f"| [英](../{term.where.removeprefix('docs/')})、[中]({Path(term.zh).name}) |\n"
        for term in listed
    ]
    return HEAD + "".join(rows)


def faults() -> list[str]:
    """Return what is wrong between the glossary and the pages of this repository."""
    return glossary_faults(terms(), (ROOT / PAGE).read_text("utf-8"), chinese_pages())


def write_table() -> None:
    """Write the table of the page of terms."""
    page = ROOT / PAGE
    page.write_text(TABLE.sub(lambda _: table(terms()), page.read_text("utf-8")), "utf-8")
