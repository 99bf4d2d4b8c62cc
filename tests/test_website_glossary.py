"""The glossary of both languages: the pages keep to it, and its table is that of the data."""

from pathlib import Path

import pytest

from website import glossary
from website.glossary import Term, glossary_faults, table

ZH = "docs/zh/a.md"
TERM = Term(
    english="dual tokens",
    chinese="双 token",
    avoid=("双令牌",),
    where="docs/guides/sessions.md",
    zh=ZH,
)
PAGE = f"<!-- glossary -->\n{table([TERM])}<!-- end -->\n"


def test_the_pages_of_this_repository_keep_to_the_glossary() -> None:
    """Terms, pages and table agree."""
    assert glossary.faults() == []


def test_pages_that_use_the_terms_have_no_fault() -> None:
    """The term itself, in both languages, and the table of the data."""
    assert glossary_faults([TERM], PAGE, {ZH: "用双 token 登录"}) == []


@pytest.mark.parametrize(
    ("term", "page", "text", "fault"),
    [
        (TERM, PAGE, "双 token，又叫双令牌", "uses '双令牌'"),
        (TERM, PAGE, "什么都没有", "does not use '双 token'"),
        (TERM, PAGE.replace("双令牌", ""), "双 token", "is not that of glossary.toml"),
        (TERM, "no table", "双 token", "is not that of glossary.toml"),
    ],
)
def test_a_page_beside_the_glossary_is_found(term: Term, page: str, text: str, fault: str) -> None:
    """A word to avoid, a term that no page uses, a table that was not written again."""
    (found,) = glossary_faults([term], page, {ZH: text})
    assert fault in found


def test_an_english_term_that_its_page_lacks_is_found() -> None:
    """The English side is checked as well."""
    lost = Term(english="twin tickets", chinese="双 token", where="docs/guides/sessions.md", zh=ZH)
    page = f"<!-- glossary -->\n{table([lost])}<!-- end -->\n"
    (found,) = glossary_faults([lost], page, {ZH: "双 token"})
    assert "docs/guides/sessions.md does not use 'twin tickets'" in found


def test_the_table_is_written_from_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `python -m website glossary` does; the text around it stays."""
    page = tmp_path / glossary.PAGE
    page.parent.mkdir(parents=True)
    page.write_text("# T\n\n<!-- glossary -->\nold\n<!-- end -->\n\nafter\n")
    monkeypatch.setattr(glossary, "ROOT", tmp_path)
    glossary.write_table()
    written = page.read_text()
    assert table(glossary.terms()) in written
    assert written.startswith("# T\n")
    assert written.endswith("\n\nafter\n")
