"""The reference of metrics in docs/reference/metrics.md; run this file to write it again."""

import re
from collections.abc import Iterator
from pathlib import Path

from linqi.instrumentation.metric import Metric
from linqi.instrumentation.metrics import METRICS, NOT_COUNTED, CacheCounted, LateToken
from linqi.instrumentation.otel import ATTRIBUTES, SPAN_EVENTS, otel_name, span_event_name
from linqi.instrumentation.prometheus import prometheus_name

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "metrics.md"
BLOCK = re.compile(r"(<!-- metrics -->\n).*?(<!-- end -->)", re.S)


def reference() -> str:
    """Return the tables that the metrics generate."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "| Prometheus | OpenTelemetry | kind, unit | what it counts | events |"
    yield "|---|---|---|---|---|"
    for metric in METRICS:
        labels = f"{{{','.join(metric.labels)}}}" if metric.labels else ""
        attributes = "".join(f", `{ATTRIBUTES[label]}`" for label in metric.labels)
        yield (
            f"| `{prometheus_name(metric)}{labels}` | `{otel_name(metric)}`{attributes}"
            f" | {metric.kind}, `{metric.unit}` | {metric.meaning} | {_events(metric)} |"
        )
    yield from ("", "| event | why it has no metric |", "|---|---|")
    for event, why in NOT_COUNTED.items():
        yield f"| `{event.__name__}` | {why} |"
    yield from ("", "| event of a span | attributes |", "|---|---|")
    for event, fields in SPAN_EVENTS.items():
        shown = ", ".join(f"`{ATTRIBUTES.get(name, f'linqi.{name}')}`" for name in fields)
        yield f"| `{span_event_name(event)}` | {shown or 'none'} |"


def _events(metric: Metric) -> str:
    told = {
        LateToken: "`TokenRefused` of an expired token, once for each",
        CacheCounted: "none: counted when the metrics are read",
    }
    return ", ".join(told.get(event, f"`{event.__name__}`") for event in metric.readings)


def shown() -> str:
    """Return the tables that the page has."""
    found = BLOCK.search(PAGE.read_text())
    assert found is not None
    return found[0].removeprefix(found[1]).removesuffix(found[2])


if __name__ == "__main__":
    PAGE.write_text(BLOCK.sub(lambda found: found[1] + reference() + found[2], PAGE.read_text()))
