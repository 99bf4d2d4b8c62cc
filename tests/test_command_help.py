"""Every command explains itself: each argument, examples that parse, the exit codes."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

import command_reference
from example_files import commands_of
from linqi.cli import main, parser_of
from linqi.commands.command_help import EXIT_CODES, CommandHelp
from linqi.commands.installed import installed_commands

ROOT = Path(__file__).parent.parent
PARSERS = {name: (parser, told) for name, parser, told in command_reference.every_parser()}
COMMANDS = installed_commands()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CALL = re.compile(
    r"""(?:^|[|&(]\s*)(?:\$ )?(linqi (?!COMMAND|store ACTION)(?:'[^']*'|"[^"]*"|[^|&'"])*)"""
)


def calls_in(line: str) -> list[list[str]]:
    """Return the arguments of each call of linqi in a line of a shell."""
    found = []
    for call in CALL.findall(line):
        lexer = shlex.shlex(call, posix=True, punctuation_chars=")<>")
        lexer.commenters = "#"
        lexer.whitespace_split = True
        words = []
        for word in lexer:
            if set(word) <= set(")<>"):
                break
            words.append(word)
        found.append(words[1:])
    return found


def parse(arguments: list[str]) -> None:
    """Parse a call as `main` does, without running it."""
    name = next((word for word in arguments if not word.startswith("-")), "")
    assert not name or name in COMMANDS, name
    parser_of(COMMANDS, COMMANDS.get(name)).parse_args(arguments)


def is_refused(arguments: list[str]) -> bool:
    """Return whether a call is none that this release accepts; one for help is."""
    try:
        parse(arguments)
    except SystemExit as end:
        return end.code != 0
    return False


def documented_calls() -> list[tuple[str, str]]:
    """Return every call of linqi in a block of shell commands on a page, with the page."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```(?:sh|console|bash|shell)\n(.*?)```", page.read_text(), re.S):
            lines = commands_of(block.replace("\\\n", " "))
            found += [(page.name, line) for line in lines if CALL.search(line)]
    return found


@pytest.mark.parametrize("name", PARSERS)
def test_every_argument_is_explained(name: str) -> None:
    """Each has a text, the unit of a time, and its default; nothing is hidden."""
    parser, _ = PARSERS[name]
    assert parser.description
    for action in command_reference.actions_of(parser):
        label = action.option_strings[-1] if action.option_strings else action.dest
        assert action.help, f"{label} has no text"
        assert action.help != argparse.SUPPRESS, label
        shown = parser._get_formatter()
        if label.endswith("seconds"):
            assert command_reference.invocation(parser, action).endswith(" SECONDS"), label
        if action.nargs != 0 and action.default and action.default != float("inf"):
            assert "default" in shown._expand_help(action), label


@pytest.mark.parametrize("name", PARSERS)
def test_help_ends_with_examples_and_exit_codes(name: str) -> None:
    """The codes of the command have a meaning in all commands; no line is too long."""
    parser, told = PARSERS[name]
    shown = parser.format_help()
    assert told.examples
    for line, meaning in told.examples:
        assert line in shown
        assert meaning.split()[0] in shown
        assert name in line
    assert {0, 2, 130} <= told.every_exit().keys() <= EXIT_CODES.keys()
    for code in told.every_exit():
        assert re.search(rf"^  {code} +\S", shown, re.M)


@pytest.mark.parametrize("name", PARSERS)
def test_the_examples_of_help_parse(name: str) -> None:
    """A reader can copy each of them."""
    for line, _ in PARSERS[name][1].examples:
        calls = calls_in(line)
        assert calls or line.endswith((" COMMAND --help", " ACTION --help"))
        for call in calls:
            if "--help" not in call:
                parse(call)


def test_the_calls_in_the_documentation_parse() -> None:
    """Each call of linqi in a block of shell commands is one that this release accepts."""
    calls = documented_calls()
    assert len(calls) > 50
    found = {tuple(call): page for page, line in calls for call in calls_in(line)}
    assert [(page, call) for call, page in found.items() if is_refused([*call])] == []


def test_the_page_of_commands_is_made_from_the_parsers() -> None:
    """``python tests/command_reference.py`` writes it anew."""
    assert command_reference.shown() == command_reference.reference()


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (["store", "pruge", "sqlite:a"], "purge"),
        (["serve", "--lifetim", "5"], "--lifetime-seconds"),
        (["serve", "--lifetime", "5"], "--lifetime-seconds"),
        (["keygen", "--alg=ES265"], "ES256"),
        (["verify", "token", "--key", "keys.json"], "--keys"),
        (["store", "purge", "sqlite:a", "--jsn"], "--json"),
        (["--verison"], "--version"),
        (["help"], "--help"),
        (["storm", "storm-slidng"], "storm-sliding"),
        (["storm", "clock-step", "--set", "ahaed=3"], "ahead"),
    ],
    ids=str,
)
def test_a_misspelt_word_is_answered_with_the_nearest(
    call: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Actions, options, choices, scenarios and their settings; the exit code is 2."""
    try:
        code: object = main(call)
    except SystemExit as end:
        code = end.code
    assert code == 2
    error = capsys.readouterr().err
    assert re.search(rf"did you mean `?(?:linqi )?{re.escape(meant)}\b", error), error


def test_an_option_without_likeness_is_refused_without_its_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A value may be a password or a token; a long word is cut."""
    with pytest.raises(SystemExit):
        main(["login", "https://shop.example", "--zzz=hunter2", "x" * 1000])
    error = capsys.readouterr().err
    assert "unrecognized arguments: --zzz xxx" in error
    assert "hunter2" not in error
    assert "did you mean" not in error
    assert len(error) < 300


def test_a_help_without_a_meaning_of_its_own_has_the_common_codes() -> None:
    """2 and 130 are added in one place, in order."""
    told = CommandHelp(examples=[], exits={0: "done", 3: "void"})
    assert [*told.every_exit()] == [0, 2, 3, 130]
