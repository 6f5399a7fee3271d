"""The picture that `bench.storm` draws: attempts to connect over time, one panel for each way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

STEP_S: Final = 0.1
WIDTH: Final = 760
LEFT: Final = 56
RIGHT: Final = 16
PANEL: Final = 150  # height of the bars
TOP: Final = 58  # above the bars of a panel
BELOW: Final = 34  # for the axis of a panel

STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 14px; font-weight: 600; fill: #24292f }
  .opened { fill: #0969da } .turned { fill: #d1242f; fill-opacity: .55 }
  .down { fill: #6e7781; fill-opacity: .15 }
  .axis { stroke: #8c959f; stroke-width: 1 } .grid { stroke: #8c959f; stroke-opacity: .3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #e6edf3 }
    .opened { fill: #58a6ff } .turned { fill: #ff7b72; fill-opacity: .6 }
    .down { fill: #9198a1; fill-opacity: .18 }
  }
"""


@dataclass(frozen=True, slots=True)
class Panel:
    """Attempts in each `STEP_S` from the stop of the server on, and when it did not listen."""

    title: str
    figures: str
    opened: Sequence[int]
    turned_away: Sequence[int]
    down_s: tuple[float, float]

    def highest(self) -> int:
        return max((a + b for a, b in zip(self.opened, self.turned_away, strict=True)), default=0)


def picture(panels: Sequence[Panel]) -> str:
    """An SVG that reads on light and on dark ground. All panels have the same scales."""
    steps = max(len(panel.opened) for panel in panels)
    top = nice(max(panel.highest() for panel in panels))
    height = len(panels) * (TOP + PANEL + BELOW)
    drawn = [
        _panel(panel, index * (TOP + PANEL + BELOW), steps, top)
        for index, panel in enumerate(panels)
    ]
    label = "Attempts to connect after a restart of the server, each 100 ms"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        f' aria-label="{label}">\n<style>{STYLE}</style>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def nice(highest: int) -> int:
    """The next of 10, 20, 50, 100, 200, 500, … that is not lower."""
    power = 10
    while True:
        for factor in (1, 2, 5):
            if factor * power >= highest:
                return factor * power
        power *= 10


def _panel(panel: Panel, y: int, steps: int, top: int) -> str:
    ground = y + TOP + PANEL
    wide = (WIDTH - LEFT - RIGHT) / steps
    down_from, down_to = (LEFT + each / STEP_S * wide for each in panel.down_s)
    parts = [
        f'<text class="title" x="{LEFT}" y="{y + 20}">{escape(panel.title)}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{y + 20}" text-anchor="end">{escape(panel.figures)}</text>',
        _key(y + 40),
        f'<rect class="down" x="{down_from:.1f}" y="{y + TOP}"'
        f' width="{max(0.0, min(down_to, WIDTH - RIGHT) - down_from):.1f}" height="{PANEL}"/>',
    ]
    for share in (0.5, 1.0):
        at = ground - share * PANEL
        parts.append(
            f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{share * top:g}</text>'
        )
    for name, counts, on in (
        ("opened", panel.opened, [0] * len(panel.opened)),
        ("turned", panel.turned_away, panel.opened),
    ):
        bars = [
            f"M{LEFT + index * wide:.1f} {ground - below / top * PANEL:.1f}"
            f"v{-count / top * PANEL:.1f}h{wide * 0.85:.1f}v{count / top * PANEL:.1f}z"
            for index, (count, below) in enumerate(zip(counts, on, strict=True))
            if count
        ]
        parts.append(f'<path class="{name}" d="{"".join(bars)}"/>')
    parts.append(f'<path class="axis" d="M{LEFT} {ground + 0.5}H{WIDTH - RIGHT}"/>')
    each_s = 1 if steps * STEP_S <= 12 else 2 if steps * STEP_S <= 24 else 5
    for second in range(0, int(steps * STEP_S) + 1, each_s):
        at = LEFT + second / STEP_S * wide
        parts.append(f'<text x="{at:.1f}" y="{ground + 17}" text-anchor="middle">{second} s</text>')
    return "\n".join(parts)


def _key(y: int) -> str:
    entries = (("opened", "opened"), ("turned", "turned away, or nobody there"))
    x, parts = LEFT, []
    for name, text in (*entries, ("down", "server not listening")):
        parts.append(f'<rect class="{name}" x="{x}" y="{y - 9}" width="10" height="10"/>')
        parts.append(f'<text x="{x + 15}" y="{y}">{text}</text>')
        x += 40 + 7 * len(text)
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">attempts each 100 ms</text>')
    return "\n".join(parts)
