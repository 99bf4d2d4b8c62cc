"""A figure as one SVG file: a card with its own background, and the marks on it.

The card follows the reader's colour scheme. A viewer that knows of none gets the light card,
which reads on a dark page too. No font, script or image comes from outside.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

WIDTH = 600
NATURAL_WIDTH = 720
"""Pixels at which a page with enough room shows a figure; on narrower pages it shrinks."""

_STYLE = """
.card{fill:#f6f7f9;stroke:#d5d9e0}text{fill:#1f2530;font-family:system-ui,-apple-system,'Segoe UI',
'PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif;font-size:18px}
.title{font-size:19px;font-weight:600}.tick{font-size:16px;fill:#565f6e}
.strong{font-weight:600}
.grid{stroke:#dfe3e9;fill:none}.edge{stroke:#8a93a1;fill:none;stroke-width:1.5}
.plain{fill:#c2410c;stroke:#c2410c}.level{fill:none;stroke:#1d4ed8;stroke-width:2.5}
.budget{fill:none;stroke:#15803d;stroke-width:2.5}
text.plain{fill:#c2410c;stroke:none}text.level{fill:#1d4ed8;stroke:none}text.budget{fill:#15803d;stroke:none}
text.halo{paint-order:stroke;stroke:#f6f7f9;stroke-width:7px}
.ok{fill:#d7ecdd;stroke:#15803d}.soon{fill:#dbe6ff;stroke:#1d4ed8}.bad{fill:#fbe0d6;stroke:#c2410c}
.point{fill:none;stroke:#8a93a1;stroke-width:1.5;stroke-dasharray:5 4}
.soft{fill:#e6e9ee;stroke:#8a93a1}.arrow{fill:none;stroke:#565f6e;stroke-width:1.8}
.head{fill:#565f6e;stroke:none}
@media(prefers-color-scheme:dark){.card{fill:#191d25;stroke:#343b48}text{fill:#e8ebf1}
.tick{fill:#b4bcc9}.grid{stroke:#2c323d}.edge{stroke:#7d8796}
.plain{fill:#fb923c;stroke:#fb923c}.level{stroke:#60a5fa}.budget{stroke:#4ade80}
text.plain{fill:#fb923c}text.level{fill:#60a5fa}text.budget{fill:#4ade80}
text.halo{stroke:#191d25}
.ok{fill:#173524;stroke:#4ade80}.soon{fill:#1a2c52;stroke:#60a5fa}.bad{fill:#452313;stroke:#fb923c}
.soft{fill:#2a303b;stroke:#7d8796}.arrow{stroke:#a9b2c0}.head{fill:#a9b2c0}}
"""


@dataclass(slots=True, kw_only=True)
class Figure:
    """One drawing, to which marks are added.

    Attributes:
        title: What the figure shows, for screen readers and above the drawing.
        description: What a person who sees it reads from it.
        height: Units, of which the width has 600.
        language: ``en`` or ``zh-CN``.
        parts: The marks so far, as SVG text.

    """

    title: str
    description: str
    height: int
    language: str = "en"
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        """Add a line of text whose baseline is at `y`, of the classes `kind`."""
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        named = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{where}{named}>{escape(text)}</text>')

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add a line through `points`."""
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{drawn}"/>')

    def area(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Add the area within `points`."""
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon class="{kind}" points="{drawn}"/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Add a box with round corners."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}"'
            f' height="{height:.1f}" rx="6"/>'
        )

    def dot(self, x: float, y: float) -> None:
        """Add a dot."""
        self.parts.append(f'<circle class="head" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')

    def arrow(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Add a straight line with a head at its end."""
        length = math.hypot(x2 - x1, y2 - y1)
        dx, dy = (x2 - x1) / length * 10, (y2 - y1) / length * 10
        self.line([(x1, y1), (x2 - dx * 0.8, y2 - dy * 0.8)], "arrow")
        self.area(
            [(x2, y2), (x2 - dx - dy / 2, y2 - dy + dx / 2), (x2 - dx + dy / 2, y2 - dy - dx / 2)],
            "head",
        )

    def written(self) -> str:
        """Return the file's text."""
        natural_height = round(self.height * NATURAL_WIDTH / WIDTH)
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}"'
                f' width="{NATURAL_WIDTH}" height="{natural_height}" role="img"'
                f' lang="{self.language}" aria-labelledby="title desc">',
                f'<title id="title">{escape(self.title)}</title>',
                f'<desc id="desc">{escape(self.description)}</desc>',
                f"<style>{_STYLE}</style>",
                f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}"'
                f' height="{self.height - 1}" rx="10"/>',
                *self.parts,
                "</svg>",
                "",
            ]
        )

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_text(self.written(), encoding="utf-8", newline="\n")
