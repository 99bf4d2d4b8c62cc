"""The reference of commands in docs/reference/commands.md; run this file to write it again."""

import argparse
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from linqi.cli import HELP, parser_of
from linqi.commands.command_help import EXIT_CODES, CommandHelp
from linqi.commands.installed import installed_commands
from linqi.commands.store import ACTIONS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "commands.md"
BLOCK = re.compile(r"(<!-- commands -->\n).*?(<!-- end -->)", re.S)


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a parser, without its commands and ``--help``."""
    kinds = (argparse._SubParsersAction, argparse._HelpAction)
    return [action for action in parser._actions if not isinstance(action, kinds)]


def parsers_below(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Return the parsers of the commands of a parser, by name."""
    found = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return found[0].choices if found else {}


def every_parser() -> Iterator[tuple[str, argparse.ArgumentParser, CommandHelp]]:
    """Yield the parser and the help of linqi, of each command, and of each action."""
    commands = installed_commands()
    yield "linqi", parser_of(commands, None), HELP
    for name, command in sorted(commands.items()):
        module = import_module(command.command.module)
        parser = parsers_below(parser_of(commands, command))[name]
        yield f"linqi {name}", parser, module.HELP
        for action, below in parsers_below(parser).items():
            yield f"linqi {name} {action}", below, _module_of(action).HELP


def _module_of(action: str) -> ModuleType:
    return ACTIONS[action][1]


def reference() -> str:
    """Return the reference that the parsers generate."""
    lines = ["| exit code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    for name, parser, told in every_parser():
        if name != "linqi":
            lines += ["", f"## {name}", "", *_section(parser, told)]
    return "\n".join(lines) + "\n"


def _section(parser: argparse.ArgumentParser, told: CommandHelp) -> Iterator[str]:
    description = parser.description or ""
    yield f"{description[:1].upper()}{description[1:]}."
    yield from ("", "```sh")
    for line, meaning in told.examples:
        yield from (f"# {meaning}", line)
    yield "```"
    if rows := [_row(parser, action) for action in actions_of(parser)]:
        yield from ("", "| argument | meaning |", "|---|---|", *rows)
    yield ""
    own = {c: text for c, text in told.every_exit().items() if text != EXIT_CODES[c]}
    yield f"Exit codes: {'; '.join(f'{code}: {text}' for code, text in own.items())}."


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    texts = (invocation(parser, action), parser._get_formatter()._expand_help(action))
    called, meaning = (text.replace("|", "\\|") for text in texts)
    return f"| `{called}` | {meaning} |"


def invocation(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the names of an argument and its value; each version of Python writes its own."""
    shown, names = parser._get_formatter(), ", ".join(action.option_strings)
    if not names:
        return str(action.metavar or action.dest)
    if action.nargs == 0:
        return names
    return f"{names} {shown._format_args(action, shown._get_default_metavar_for_optional(action))}"


def shown() -> str:
    """Return the reference in the page."""
    found = BLOCK.search(PAGE.read_text())
    assert found
    return found[0].removeprefix("<!-- commands -->\n").removesuffix("<!-- end -->")


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda found: found[1] + reference() + found[2], PAGE.read_text()))
