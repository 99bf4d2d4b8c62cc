"""The judgement of the matrix of frameworks and servers; ``make matrix`` runs the matrix itself."""

import argparse
from pathlib import Path

from matrix.__main__ import pairs
from matrix.checks import CHECKS
from matrix.faults import FAULTS, Fault
from matrix.frameworks import FRAMEWORKS
from matrix.run import Outcome
from matrix.servers import SERVERS
from matrix.table import blocks, replace_blocks

PAGE = Path(__file__).parent.parent / "docs" / "frameworks" / "matrix.md"
FAULT = Fault(whose="a server", checks=("HEAD",), reason="it sends a body", advice="use GET")


def complaint_of(wrapped: str | None, unwrapped: str | None, fault: Fault | None) -> str | None:
    """Return the complaint about one outcome."""
    return Outcome(check="HEAD", wrapped=wrapped, unwrapped=unwrapped, fault=fault).complaint


def test_only_a_listed_fault_that_is_there_unwrapped_too_is_excused() -> None:
    """What passes without linqi is a fault of linqi; what is not listed must be looked at."""
    assert complaint_of(None, None, None) is None
    assert complaint_of("a body", "a body", FAULT) is None
    assert complaint_of("a body", None, FAULT) == "a body (unwrapped it passes)"
    assert complaint_of("a body", None, None) == "a body (unwrapped it passes)"
    assert complaint_of("a body", "a body", None) == "a body (unwrapped: a body): not listed"


def test_a_listed_fault_that_is_not_there_any_more_fails() -> None:
    """The list does not outlive what it excuses."""
    wanted = "passes: the listed fault is not there any more"
    assert complaint_of(None, "a body", FAULT) == wanted
    assert complaint_of(None, None, FAULT) == wanted


def test_the_faults_name_checks_frameworks_and_servers_that_exist() -> None:
    """A fault with a wrong name would excuse nothing; one without advice helps no one."""
    for fault in FAULTS:
        assert {*fault.checks} <= {*CHECKS}
        assert {*fault.frameworks} <= {*FRAMEWORKS}
        assert {*fault.servers} <= {*SERVERS}
        assert fault.reason
        assert fault.advice


def test_no_check_of_a_cell_has_two_faults() -> None:
    """Otherwise one of them would never be looked at."""
    for framework in FRAMEWORKS:
        for server in SERVERS:
            for check in CHECKS:
                found = [fault for fault in FAULTS if fault.covers(framework, server, check)]
                assert len(found) < 2, (framework, server, check)


def test_the_slice_has_every_framework_and_every_server() -> None:
    """Continuous integration serves each of them at least once."""
    chosen = pairs(argparse.Namespace(slice=True))
    assert {framework for framework, _ in chosen} == {*FRAMEWORKS}
    assert {server for _, server in chosen} == {*SERVERS}


def test_the_page_shows_these_checks_and_faults() -> None:
    """`make matrix MATRIX_ARGS="--markdown docs/frameworks/matrix.md"` renews the page."""
    text = PAGE.read_text()
    assert text == replace_blocks(text, blocks([]))
    for name in ("checks", "faults", "table", "versions"):
        assert f"<!-- matrix: {name} -->" in text
    for framework in FRAMEWORKS.values():
        assert f"| {framework.name} |" in text
