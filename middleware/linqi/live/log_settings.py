"""Whether the log lines of linqi are heard under the server's logging configuration."""

from __future__ import annotations

import configparser
import json
import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from linqi.errors import ConfigurationError
from linqi.live.probe import Environment, ProbeResult

__all__ = ["least_level", "look_at_logs", "read_log_config"]

_NAME: Final = "linqi"
_SILENT: Final = logging.CRITICAL + 1
_HELP: Final = (
    'give the logger "linqi" (or the root logger) a handler and the level INFO in the server\'s'
    " --log-config"
)


async def look_at_logs(environment: Environment, result: ProbeResult) -> None:
    """Report which log lines are heard, and what would silence them."""
    path = environment.options.log_config
    found = read_log_config(Path(path)) if path else {}
    least, has_handler = least_level(found)
    if not has_handler:
        result.saw(
            f"{path or 'a server without --log-config'}: no handler for the logger linqi; Python"
            " prints warnings to standard error, without time or level"
        )
        result.found(
            "note",
            "logs-bare",
            "renewals and sign-ins are not logged, and warnings carry no time: no handler receives"
            " the logger linqi",
            _HELP if path else f"{_HELP}, and name that file here too",
        )
    else:
        result.saw(f"{path}: lines of linqi are heard from level {logging.getLevelName(least)}")
        _judge(least, result)
    is_named = _NAME in (found.get("loggers") or {})
    if path and not is_named and found.get("disable_existing_loggers", True):
        result.found(
            "warning",
            "logs-disabled",
            "disable_existing_loggers is not false: if the application is imported before the"
            " logs are configured, as by uvicorn.run(app), nothing of linqi is logged",
            "set disable_existing_loggers to false",
        )


def _judge(least: int, result: ProbeResult) -> None:
    if least > logging.WARNING:
        result.found(
            "warning",
            "logs-silent",
            "warnings of linqi are not heard: neither a reused refresh token nor a lost store is"
            " in the log",
            _HELP,
        )
    elif least > logging.INFO:
        result.found("note", "logs-quiet", "renewals and sign-ins are not in the log", _HELP)


def read_log_config(path: Path) -> Mapping[str, Any]:
    """Return a configuration for `logging.config` as one of its dictionaries.

    Args:
        path: A ``.json``, ``.yaml`` or ``.yml`` file as of uvicorn's ``--log-config``; any other is
            read in the format of `logging.config.fileConfig`.

    Raises:
        ConfigurationError: The file cannot be read.

    """
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            found = json.loads(text)
        elif path.suffix in (".yaml", ".yml"):
            found = import_module("yaml").safe_load(text)
        else:
            found = _of_ini(text)
    except ModuleNotFoundError:
        raise ConfigurationError([f"{path}: PyYAML is not installed; pip install PyYAML"]) from None
    except Exception as error:  # a parser of any format
        raise ConfigurationError([f"{path}: {type(error).__name__}: {error}"]) from error
    if not isinstance(found, dict):
        raise ConfigurationError([f"{path} is no logging configuration"])
    return found


def least_level(config: Mapping[str, Any]) -> tuple[int, bool]:
    """Return the least level of the logger ``linqi`` that a handler receives, and if there is one.

    Args:
        config: A dictionary of `logging.config`.

    """
    logger = (config.get("loggers") or {}).get(_NAME) or {}
    root = config.get("root") or {}
    handlers = [*(logger.get("handlers") or ())]
    if logger.get("propagate", True):
        handlers += root.get("handlers") or ()
    level = _level(logger.get("level")) or _level(root.get("level")) or logging.WARNING
    known = config.get("handlers") or {}
    heard = [max(level, _level((known.get(name) or {}).get("level"))) for name in handlers]
    return min(heard, default=_SILENT), bool(heard)


def _level(value: object) -> int:
    """Return a level as a number; 0 for none, and for one that is not known."""
    if isinstance(value, int):
        return value
    return logging.getLevelNamesMapping().get(str(value or "NOTSET").upper(), 0)


def _of_ini(text: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    loggers: dict[str, Any] = {}
    for key in _list(parser.get("loggers", "keys")):
        section = parser[f"logger_{key}"]
        name = section.get("qualname", key)
        loggers[name] = {
            "level": section.get("level", ""),
            "handlers": _list(section.get("handlers", "")),
            "propagate": section.get("propagate", "1") != "0",
        }
    handlers = {
        key: {"level": parser[f"handler_{key}"].get("level", "")}
        for key in _list(parser.get("handlers", "keys"))
    }
    return {"root": loggers.pop("root", {}), "loggers": loggers, "handlers": handlers}


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
