"""A storm as JUnit XML for continuous integration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from linqi_storm.report.headline import headline
from linqi_storm.schema.results import StormRun

__all__ = ["write_junit"]


def write_junit(runs: Sequence[StormRun], path: Path) -> None:
    """Write one suite per run and one case per invariant and requirement.

    A late generator is an error; what it leaves open is skipped. The verdict is the ``system-out``
    of the suite.
    """
    root = Xml.Element("testsuites", name="linqi storm")
    for run in runs:
        _add_suite(root, run)
    Xml.indent(root)
    Xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_suite(root: Xml.Element, run: StormRun) -> None:
    setup = run.setup
    name = f"{setup.scenario}.{setup.target.policy or setup.target.mode}"
    checks = run.every_check
    suite = Xml.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(checks) + 1),
        failures=str(len(run.broken)),
        errors="0" if run.generator.is_valid else "1",
        skipped=str(sum(not run.is_judged(check) for check in checks)),
        time=f"{setup.load.duration_seconds:g}",
    )
    if setup.tags:
        properties = Xml.SubElement(suite, "properties")
        for tag, value in setup.tags.items():
            Xml.SubElement(properties, "property", name=tag, value=value)
    generator = Xml.SubElement(suite, "testcase", classname=name, name="the generator kept up")
    if not run.generator.is_valid:
        Xml.SubElement(generator, "error", message="; ".join(run.generator.faults))
    for check in checks:
        case = Xml.SubElement(suite, "testcase", classname=name, name=check.name)
        if not run.is_judged(check):
            Xml.SubElement(case, "skipped", message="void: the generator was late")
        elif not check.passed:
            text = f"{check.measured}, expected {check.expected}. {check.detail}".strip()
            Xml.SubElement(case, "failure", message=text)
    Xml.SubElement(suite, "system-out").text = headline(run)
