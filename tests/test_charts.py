"""The charts: where things stand, what is escaped, and that nothing is fetched."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linqi_report.axes import Scale, number
from linqi_report.charts import (
    Axis,
    Band,
    Bar,
    Mark,
    Series,
    bar_chart,
    line_chart,
    percentile_chart,
)
from linqi_report.page import Section, page, table

TIME, RATE = Axis(label="time", unit="s"), Axis(label="rate", unit="1/s")
NUMBERS = st.floats(-1e9, 1e9) | st.integers(0, 10)


def lines(svg: str, kind: str) -> list[ElementTree.Element]:
    """Return the elements of the wide drawing in `svg` with the class `kind`."""
    found = ElementTree.fromstring(svg)[0].iter()  # noqa: S314 - our own text
    return [element for element in found if kind in element.get("class", "").split()]


@given(st.lists(st.tuples(NUMBERS, NUMBERS | st.none()), max_size=20), st.booleans())
@example([(0.0, 5702.0), (0.0, 3e-305)], True)
def test_any_numbers_become_a_chart_within_its_frame(
    points: list[tuple[float, float | None]], is_log: bool
) -> None:
    """Empty, constant, negative and huge data give well-formed SVG without NaN."""
    y = Axis(label="rate", is_log=is_log)
    svg = line_chart("t", [Series(name="a", points=points)], TIME, y)
    ElementTree.fromstring(svg)  # noqa: S314 - our own text
    assert "nan" not in svg
    assert "inf" not in svg.replace("info", "")


def test_a_gap_breaks_the_line() -> None:
    """None is no zero: nothing is drawn across it."""
    points = [(0, 1), (1, 2), (2, None), (3, 2), (4, 1)]
    svg = line_chart("t", [Series(name="a", points=points)], TIME, RATE)
    assert len(lines(svg, "line")) == 2


def test_a_series_may_name_its_own_colour_and_dash() -> None:
    """What means the same looks the same in every chart, whatever else is drawn."""
    points = [(0, 1), (1, 2)]
    stack = [(0, 0, 1), (1, 0, 2)]
    svg = line_chart(
        "t",
        [
            Series(name="a", points=points),
            Series(name="bad", points=points, hue="bad", dash=0),
            Series(name="stack", points=[], interval=stack, is_area=True, hue="ok"),
        ],
        TIME,
        RATE,
    )
    drawn = [line for line in lines(svg, "sbad") if line.tag.endswith("polyline")]
    assert [line.get("stroke-dasharray") for line in drawn] == [None]
    assert {element.tag.rpartition("}")[2] for element in lines(svg, "fok")} == {"polygon", "rect"}


def test_names_are_text_and_never_markup() -> None:
    """What a user called a figure cannot become an element (Locust, CVE-2020-28364)."""
    evil = "</svg><script>alert(1)</script>"
    svg = line_chart(
        evil,
        [Series(name=evil, points=[(0, 1)]), Series(name="b", points=[(0, 2)])],
        Axis(label=evil),
        Axis(label="y", unit=evil),
        bands=[Band(start=0, end=1, label=evil)],
        marks=[Mark(at=0, label=evil)],
        description=evil,
    )
    bars = bar_chart(evil, [Bar(label=evil, value=1, note=evil)], Axis(label=evil))
    html = page(evil, "", [Section(heading=evil, body=table([evil], [[evil], [(evil, evil)]]))])
    for text in (svg, bars, html):
        assert "<script" not in text


def test_labels_of_spans_and_marks_never_overlap() -> None:
    """Those that would meet stand in rows of their own, above the plot."""
    marks = [Mark(at=50 + number, label="a rather long label") for number in range(3)]
    svg = line_chart("t", [Series(name="a", points=[(0, 1), (100, 2)])], TIME, RATE, marks=marks)
    assert len({element.get("y") for element in lines(svg, "note")}) == 3


def test_a_percentile_axis_gives_every_nine_the_same_width() -> None:
    """From 90 to 99 is as far as from 99 to 99.9."""
    svg = percentile_chart("t", [("a", [(0, 1), (90, 2), (99, 3), (99.9, 9)])], RATE)
    (line,) = lines(svg, "line")
    xs = [float(pair.split(",")[0]) for pair in line.get("points", "").split()]
    assert xs[2] - xs[1] == pytest.approx(xs[3] - xs[2], abs=0.2)


def test_a_bar_shows_its_limit_and_its_interval() -> None:
    """The limit stands where its value is on the axis, the whisker covers the interval."""
    bars = [
        Bar(label="a", value=10, low=8, high=12, limit=5, is_bad=True),
        Bar(label="b", value=20, limit=20),
    ]
    svg = bar_chart("t", bars, Axis(label="time", unit="us"))
    (bad,), (good,) = lines(svg, "bad"), lines(svg, "f1")
    assert float(good.get("width", 0)) == pytest.approx(2 * float(bad.get("width", 0)), abs=0.2)
    first, second = (float(line.get("x1", 0)) for line in lines(svg, "limit"))
    assert first < second
    assert len(lines(svg, "whisker")) == 1


NAMES = ("a short one", "a name that is longer than most", "another name of some length")


def test_a_narrow_page_has_a_drawing_of_its_own() -> None:
    """Text keeps its size: nothing of the plot, its legend or its labels is outside the frame."""
    series = [Series(name=name, points=[(0, 1), (30, 2e6)]) for name in NAMES]
    bands = [Band(start=13, end=29.9, label="expiry")]
    marks = [Mark(at=29, label="peak 231/s")]
    bars = [Bar(label=name, value=20, high=25, limit=30, note="a note of words") for name in NAMES]
    for chart in (
        line_chart("t", series, TIME, RATE, bands=bands, marks=marks),
        bar_chart("t", bars, Axis(label="time", unit="us")),
    ):
        wide, narrow = ElementTree.fromstring(chart)  # noqa: S314 - our own text
        widths = [float(each.get("viewBox", "").split()[2]) for each in (wide, narrow)]
        assert widths == [760, 376]
        assert (wide.get("class"), narrow.get("class")) == ("chart full", "chart narrow")
        for drawn in (wide, narrow):
            assert set(drawn.itertext()) >= set(NAMES)
        for element in narrow.iter():
            size = 6.3 * len(element.text or "") if element.tag.endswith("text") else 0.0
            size = float(element.get("width", size))
            if "transform" in element.attrib or element.get("x") is None:
                continue
            at, anchor = float(element.get("x", 0)), element.get("text-anchor", "start")
            left = at - {"start": 0, "middle": size / 2, "end": size}[anchor]
            assert left >= 0, ElementTree.tostring(element)
            assert left + size <= 376, ElementTree.tostring(element)


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6), st.booleans())
def test_ticks_are_few_rising_and_inside(low: float, ratio: float, is_log: bool) -> None:
    """An axis has ticks wherever it begins and ends."""
    axis = Axis(label="x", low=low, high=low * ratio, is_log=is_log)
    values = [value for value, _ in Scale(axis, [], 0, 100).ticks]
    assert values == sorted(set(values))
    assert all(low * 0.998 <= value <= low * ratio * 1.002 for value in values)
    assert len(values) <= 45


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0712, "0.0712"), (1.005, "1"), (999, "999"), (12345, "12\u202f345"), (2.5e6, "2.5 M")],
)
def test_numbers_are_as_short_as_they_can_be_read(value: float, text: str) -> None:
    """Three digits that count, thousands apart."""
    assert number(value) == text


def test_a_wide_table_names_the_column_of_each_cell() -> None:
    """On a phone its rows are lists; two columns fit as they are."""
    three = table(("A", "B", ("C <c>", "long")), [("x", "1", ("2", "bad"))])
    assert 'class="stacked"' in three
    assert '<td data-column="B">1</td>' in three
    assert '<td class="bad" data-column="C &lt;c&gt;">2</td>' in three
    assert "stacked" not in table(("A", "B"), [("x", "1")])


def test_a_page_fetches_nothing() -> None:
    """No address, no script, no import: it opens the same without a network."""
    svg = line_chart("t", [Series(name="a", points=[(0, 1), (1, 2)])], TIME, RATE)
    html = page("Title", "<p>intro</p>", [Section(heading="One", figures=[("c", svg)])])
    assert not re.search(r"https?://|//|url\(|@import|<script|<link|<img|src=", html)
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
