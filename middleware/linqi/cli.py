"""The command line ``linqi``: finds the installed commands and runs one of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from linqi import __version__
from linqi.commands.command_help import EXIT_CODES, CommandHelp, Example, explain
from linqi.commands.command_parser import CommandParser, nearest
from linqi.commands.installed import InstalledCommand, installed_commands
from linqi.errors import LinqiError

__all__ = ["HELP", "main", "parser_of"]

HELP = CommandHelp(
    examples=[
        Example("linqi init", "write linqi.toml, with every key"),
        Example("linqi keygen", "make the signing keys that it names"),
        Example("linqi check --live", "find faults of the file and of the machine it runs on"),
        Example("linqi COMMAND --help", "show the options, examples and exit codes of a command"),
    ],
    exits=EXIT_CODES,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Args:
        argv: The arguments; the default is ``sys.argv[1:]``.

    Returns:
        0 for success; 1 if the command finds a problem, such as a refused token; 2 for a wrong
        call, a missing library or file, or a configuration that cannot be used; 130 after Ctrl-C.

    """
    given = sys.argv[1:] if argv is None else argv
    commands = installed_commands()
    name = next((word for word in given if not word.startswith("-")), "")
    called = commands.get(name)
    if name and called is None:
        return _report_error(_unknown(name, commands))
    try:
        arguments = parser_of(commands, called).parse_args(given)
        code: int = arguments.run(arguments)
        return code
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        name = error.name or ""
        install = called.install_for(name) if called is not None else None
        if install is None or name.startswith("linqi"):
            raise
        return _report_error(f"{name} is not installed; {install}")
    except (LinqiError, OSError, ValueError) as error:
        return _report_error(str(error))


def _report_error(message: str) -> int:
    print(f"linqi: {message}", file=sys.stderr)
    return 2


def _unknown(name: str, commands: Mapping[str, InstalledCommand]) -> str:
    near = "--help" if name == "help" else nearest(name, commands)
    advice = f"did you mean `linqi {near}`?" if near else f"commands are {', '.join(commands)}"
    return f"unknown command {name[:64]!r}; {advice}"


def parser_of(
    commands: Mapping[str, InstalledCommand], called: InstalledCommand | None
) -> CommandParser:
    """Return a parser that has the options of the called command only.

    Args:
        commands: Every installed command, by name.
        called: The command to parse; None for the help of all commands.

    """
    parser = CommandParser(
        "linqi", description="Verify JSON Web Tokens and keep sessions signed in; test and tune it."
    )
    explain(parser, HELP)
    parser.add_argument(
        "--version",
        action="version",
        version=f"linqi {__version__}",
        help="print the version and exit",
    )
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for name, command in commands.items():
        if called is None:  # the help of all commands, or a wrong call
            subparsers.add_parser(name, help=command.summary.replace("%", "%%"))
        elif command is not called:
            subparsers.add_parser(name)
    if called is not None:
        module = import_module(called.command.module)
        one = subparsers.add_parser(called.name, description=called.command.summary)
        module.add_options(one)
        if hasattr(module, "HELP"):  # a command of another distribution may have none
            explain(one, module.HELP)
        one.set_defaults(run=module.run)
    return parser
