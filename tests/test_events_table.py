"""Every event stands in each table of events, in one order."""

import importlib
import re
import typing
from pathlib import Path

import pytest

import metrics_reference
from linqi import LoggingHook
from linqi.events import Event
from linqi.instrumentation import logging as logging_sink
from linqi.instrumentation.metrics import METRICS, NOT_COUNTED, CacheCounted, LateToken

EVENTS = [event.__name__ for event in typing.get_args(Event)]
GUIDE = Path(__file__).parent.parent / "docs" / "guides" / "events.md"
SUBJECTS = [
    *("requests", "renewal", "sessions", "logins", "revocation", "keys", "introspection"),
    "services",
]


def guide_rows() -> list[tuple[str, str]]:
    """Return each event of the guide's table and the level that its row names."""
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| .* \| ([A-Z, ]+) \|$", GUIDE.read_text(), re.M)
    found = []
    for names, levels in rows:
        listed = re.findall(r"\w+", names)
        each = levels.split(", ")
        found += zip(listed, each if len(each) == len(listed) else each * len(listed), strict=True)
    return found


def test_the_union_lists_the_events_of_each_module_in_order() -> None:
    """No event is forgotten in `Event`, and each stands where its module has it."""
    modules = [importlib.import_module(f"linqi.events.{subject}") for subject in SUBJECTS]
    made = [
        name
        for module in modules
        for name, thing in vars(module).items()
        if isinstance(thing, type) and thing.__module__ == module.__name__
    ]
    assert made == EVENTS


def test_the_logging_sink_has_a_line_for_every_event() -> None:
    """A missing one would raise in every request that causes it."""
    assert list(logging_sink._LINES) == EVENTS


@pytest.mark.parametrize("event", typing.get_args(Event), ids=EVENTS)
def test_a_log_line_names_fields_that_its_event_has(
    event: type[typing.Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Every event of every type can be logged, with each field in the line or the record."""
    caplog.set_level("DEBUG")
    samples = {"int": 1, "float": 1.0, "bool": True, "float | None": None}
    fields = event.__annotations__
    LoggingHook()(event(**{name: samples.get(str(kind), "x") for name, kind in fields.items()}))
    (record,) = caplog.records
    assert record.getMessage()
    assert set(record.linqi) == set(fields)  # type: ignore[attr-defined]


def test_the_guide_has_a_row_for_every_event_with_its_level() -> None:
    """The same order, and the level at which the sink logs it."""
    levels = {
        event: logging_sink.logging.getLevelName(level)
        for event, (level, _) in logging_sink._LINES.items()
    }
    assert guide_rows() == [(name, levels[name]) for name in EVENTS]


def test_every_event_is_read_by_a_metric_or_left_out_for_a_reason() -> None:
    """One table makes both sinks and the page, so an event that it lacks is counted nowhere."""
    read = {event.__name__ for metric in METRICS for event in metric.readings}
    left_out = {event.__name__: why for event, why in NOT_COUNTED.items()}
    assert read - {LateToken.__name__, CacheCounted.__name__} == set(EVENTS) - set(left_out)
    assert all(left_out.values())


def test_the_page_of_metrics_is_that_of_the_table() -> None:
    """``python tests/metrics_reference.py`` writes it anew."""
    assert metrics_reference.shown() == metrics_reference.reference()
