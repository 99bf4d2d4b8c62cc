"""The questions and answers: each setting that an answer shows is one that linqi accepts."""

import re
import tomllib
from pathlib import Path

import pytest

from linqi.config import read

PAGE = Path(__file__).parent.parent / "docs" / "faq.md"
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
NEEDED = """
[verify]
issuer = "https://shop.example"
audience = "shop"
[keys]
file = "keys.json"
[store]
url = "sqlite:sessions.db"
secrets_file = "refresh.json"
"""


def test_answers_show_settings() -> None:
    """The page has blocks of linqi.toml, or the next test would check nothing."""
    assert len(BLOCKS) > 5


@pytest.mark.parametrize("block", BLOCKS)
def test_settings_of_an_answer_are_accepted(block: str) -> None:
    """Each block alone is part of a configuration without a fault."""
    raw = tomllib.loads(NEEDED)
    for table, keys in tomllib.loads(block).items():
        raw[table] = {**raw.get(table, {}), **keys}
    read(raw, source="faq.md", folder=PAGE.parent, environ={})
