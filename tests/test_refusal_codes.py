"""The stable codes: what the classes have is what the page and the texts have."""

import inspect
import re
from pathlib import Path

from linqi import errors
from linqi.asgi import refusals, route_response, routes
from linqi.asgi.refusal_texts import CODES, TEXTS
from linqi.errors import LinqiError, TokenError

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "refusals.md"


def every_class(base: type[LinqiError]) -> list[type[LinqiError]]:
    """Return `base` and all below it in `linqi.errors`."""
    found = [thing for thing in vars(errors).values() if inspect.isclass(thing)]
    return [thing for thing in found if issubclass(thing, base)]


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading of the page."""
    _, _, text = PAGE.read_text().partition(f"## {heading}\n")
    lines = re.findall(r"^\|(.+)\|$", text.partition("\n## ")[0], re.M)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines[2:]]


def codes_in(cell: str) -> list[str]:
    """Return the names in code spans."""
    return re.findall(r"`(\w+)`", cell)


def test_the_page_lists_the_code_of_every_refused_token() -> None:
    """With the code that the client sees, which tells no more than the hint."""
    shown = {
        code: codes_in(cells[1])[0]
        for cells in table("Codes in the log")
        for code in codes_in(cells[0])
    }
    assert shown == {
        error.code: error.public_code
        for error in every_class(TokenError)
        if issubclass(error, TokenError) and error is not TokenError
    }


def test_the_public_code_tells_no_more_than_the_hint() -> None:
    """Two errors with one hint have one public code, and the other way around."""
    pairs = {
        (error.hint, error.public_code)
        for error in every_class(TokenError)
        if issubclass(error, TokenError)
    }
    assert len({hint for hint, _ in pairs}) == len({code for _, code in pairs}) == len(pairs)


def test_the_page_lists_every_public_code_with_its_texts() -> None:
    """In the order of the table, in both languages that linqi ships."""
    rows = {codes_in(cells[0])[0]: tuple(cells[-2:]) for cells in table("Codes and texts")}
    assert rows == {code: (TEXTS["en"][code], TEXTS["zh-CN"][code]) for code in TEXTS["en"]}
    assert all(set(texts) == CODES for texts in TEXTS.values())


def test_every_code_that_is_sent_has_a_text() -> None:
    """The codes in the source of the rooms that refuse, and those of the errors."""
    sources = "".join(inspect.getsource(module) for module in (refusals, route_response, routes))
    named = re.findall(r'(?:error_body\(|code=|"error": )"(\w+)"', sources)
    assert len(named) > 12
    public = {
        error.public_code for error in every_class(TokenError) if issubclass(error, TokenError)
    }
    oauth = {"invalid_grant"}  # each such answer has a finer code
    assert {*named, *public} - oauth <= CODES


def test_codes_are_names_that_clients_can_switch_on() -> None:
    """Lower case, underscores; no two classes share a code."""
    found = [error.code for error in every_class(LinqiError)]
    assert len(found) == len(set(found))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in {*found, *CODES})
