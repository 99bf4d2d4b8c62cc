"""The JSON file of a storm's result."""

from __future__ import annotations

from pathlib import Path

import msgspec

from linqi import ConfigurationError
from linqi_storm.schema.results import SCHEMA, StormRun

__all__ = ["load_run", "save_run"]


def save_run(run: StormRun, path: Path) -> None:
    """Write `run` as indented JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))


def load_run(path: Path) -> StormRun:
    """Return the run in the JSON file `path`.

    Raises:
        ConfigurationError: If the file is missing, is no storm result, or has another schema.

    """
    try:
        content = path.read_bytes()
        found = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        schema = msgspec.json.decode(found.get("schema", msgspec.Raw(b"null")), type=int)
        if schema != SCHEMA:
            raise ConfigurationError(
                [f"{path} has the schema {schema}; this version of linqi reads {SCHEMA}"]
            )
        return msgspec.json.decode(content, type=StormRun)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError([f"{path} is not a storm result: {error}"]) from error
