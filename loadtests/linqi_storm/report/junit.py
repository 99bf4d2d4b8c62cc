"""A storm as JUnit XML for continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from linqi_storm.schema.results import StormRun

__all__ = ["write_junit"]


def write_junit(runs: Sequence[StormRun], path: Path) -> None:
    """Write one suite per run and one case per invariant; a void run is an error, no failure."""
    root = Xml.Element("testsuites", name="linqi storm")
    for run in runs:
        _add_suite(root, run)
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_suite(root: Xml.Element, run: StormRun) -> None:
    setup = run.setup
    name = f"{setup.scenario}.{setup.target.policy or setup.target.mode}"
    failures = 0 if run.verdict == "VOID" else sum(not check.passed for check in run.checks)
    suite = Xml.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(run.checks) + 1),
        failures=str(failures),
        errors="0" if run.generator.is_valid else "1",
        time=f"{setup.load.duration_seconds:g}",
    )
    generator = Xml.SubElement(suite, "testcase", classname=name, name="the generator kept up")
    if not run.generator.is_valid:
        Xml.SubElement(generator, "error", message="; ".join(run.generator.faults))
    for check in run.checks:
        case = Xml.SubElement(suite, "testcase", classname=name, name=check.name)
        if run.verdict == "VOID":
            Xml.SubElement(case, "skipped", message="the run is void")
        elif not check.passed:
            text = f"{check.seen:g}, expected at most {check.limit:g}. {check.detail}".strip()
            Xml.SubElement(case, "failure", message=text)
