"""The examples of the documentation: the code that pages show, and copies that run."""

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

from linqi import Key, KeySet

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
MARK = re.compile("^<!-- example: ", re.M)
_SHOWN = re.compile(r"^<!-- example: (\S+) -->\n```\w+\n(.*?)```\n<!-- end -->", re.S | re.M)
_MADE = shutil.ignore_patterns("__pycache__", "*.db*", "*.sqlite3", "keys.json", "refresh.json")


def shown_on(page: Path) -> list[tuple[str, str]]:
    """Return each example on a page: the file's path from the root, and the code that is shown."""
    return _SHOWN.findall(page.read_text("utf-8"))


def commands_of(block: str) -> list[str]:
    """Return the lines after a prompt, or all lines of a block without prompts."""
    typed = re.findall(r"^\$ (.*)", block, re.M)
    return typed or block.splitlines()


def copied(example: str, folder: Path) -> Path:
    """Copy the folder of an example into `folder`, with fresh keys as its page says."""
    shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True, ignore=_MADE)
    KeySet([Key.generate("ES256")]).save(folder / "keys.json")
    KeySet([Key.generate("HS256")]).save(folder / "refresh.json")
    return folder


def imported(file: Path) -> ModuleType:
    """Import an example from its file; what it opens by relative paths is in the current folder."""
    spec = importlib.util.spec_from_file_location(f"{file.parent.name}_{file.stem}", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
