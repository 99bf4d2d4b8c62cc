"""The settings of the guide to several machines are settings that a worker takes."""

import re
from pathlib import Path

import pytest

from linqi import Key, KeySet
from linqi.config import build, load
from linqi.stores.postgres import PostgresStore
from linqi.stores.valkey import ValkeyStore

PAGE = Path(__file__).parent.parent / "docs" / "guides" / "several_machines.md"
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
HEAD = """
[verify]
issuer = "https://shop.example"
audience = "shop"
[keys]
file = "keys.json"
"""


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.findall(r'url = "(\S+)"', block)[0])
def test_the_settings_of_each_topology_are_valid(block: str, tmp_path: Path) -> None:
    """Every block names a store that can be opened."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    KeySet([Key.generate("HS256")]).save(tmp_path / "refresh.json")
    (tmp_path / "linqi.toml").write_text(HEAD + block)
    made = build(load(tmp_path / "linqi.toml"))
    assert made.sessions is not None
    assert isinstance(made.sessions.store, PostgresStore | ValkeyStore)


def test_the_page_has_a_block_for_each_topology() -> None:
    """A page without blocks would pass."""
    assert len(BLOCKS) == 5
