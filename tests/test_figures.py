"""The figures of the documentation are what the program draws from the policies of linqi."""

import xml.etree.ElementTree as ET
from functools import cache

import pytest

from figures.__main__ import IMAGES, figures
from figures.svg import Figure

NAMES = [
    "choose.svg",
    "choose.zh.svg",
    "near_expiry.svg",
    "near_expiry.zh.svg",
    "nine_oclock.svg",
    "session_life.svg",
    "session_life.zh.svg",
    "storm_outage.svg",
    "storm_plain_grid.svg",
    "storm_plain_grid.zh.svg",
]


@cache
def drawn() -> dict[str, Figure]:
    """Return the figures, drawn once for all tests."""
    return figures()


def test_every_figure_is_listed() -> None:
    """A figure that the program draws is compared below."""
    assert sorted(drawn()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_figure_is_what_the_program_draws(name: str) -> None:
    """`PYTHONPATH=docs python -m figures` changes no file of docs/images."""
    assert (IMAGES / name).read_text(encoding="utf-8") == drawn()[name].written()


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_xml_with_a_title_and_loads_nothing(name: str) -> None:
    """A screen reader is told what is shown; no font, script or image comes from elsewhere."""
    text = drawn()[name].written()
    root = ET.fromstring(text)  # noqa: S314  # our own file
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title")
    assert root.findtext(f"{space}desc")
    assert not {"script", "image", "use", "foreignObject"} & {
        element.tag.removeprefix(space) for element in root.iter()
    }
    assert "url(" not in text
    assert "@import" not in text
