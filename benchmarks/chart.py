"""Small line charts side by side, as one SVG. Pure: numbers in, text out.

Readable on light and on dark pages, because the picture brings its own ground and follows the
reader's scheme; without colours, because each curve has marks of its own shape; told in words to
who cannot see it. Knows nothing of what is measured.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 380, 270  # of one chart, pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 62, 50  # around its axes
_HEAD = 40  # of the picture, above its charts
_COLUMNS = 2
_TICKS = 5
_STYLE = """
  .ground { fill: #ffffff } text { fill: #24292f; font: 12px system-ui, sans-serif }
  .title { font-weight: 600; font-size: 17px }
  .name { font-weight: 600; font-size: 14px } .small { font-size: 11px }
  .unit { font-weight: 400 }
  .grid { stroke: #d0d7de } .bound { stroke: #57606a; stroke-dasharray: 5 4 }
  polyline { fill: none; stroke-width: 2 } .mark { stroke: none }
  .s0 { stroke: #0969da; fill: #0969da } .s1 { stroke: #bc4c00; fill: #bc4c00 }
  .s2 { stroke: #1a7f37; fill: #1a7f37 } .s3 { stroke: #8250df; fill: #8250df }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 }
    .grid { stroke: #30363d } .bound { stroke: #8b949e }
    .s0 { stroke: #58a6ff; fill: #58a6ff } .s1 { stroke: #f0883e; fill: #f0883e }
    .s2 { stroke: #56d364; fill: #56d364 } .s3 { stroke: #bc8cff; fill: #bc8cff }
  }
  polyline.s0, polyline.s1, polyline.s2, polyline.s3 { fill: none }
"""


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """x and y are the axes' words; y, with its unit, stands behind the name. bound is a dashed
    line across, with its own words. A logarithmic axis wants values above 0."""

    name: str
    x: str
    y: str
    series: Sequence[Series]
    bound: tuple[float, str] | None = None
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float
    log: bool
    begin: float  # pixels
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high, value = (
            map(math.log10, (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return self.begin + (value - low) / (high - low) * (self.end - self.begin)


def draw(title: str, description: str, charts: Sequence[Chart]) -> str:
    """The whole picture. Raises ValueError without a chart or for a chart without a point."""
    if not charts:
        raise ValueError("no chart to draw")
    columns = min(_COLUMNS, len(charts))
    width, height = columns * _WIDTH, _HEAD + math.ceil(len(charts) / columns) * _HEIGHT
    drawn = [
        f'<g transform="translate({number % columns * _WIDTH} '
        f'{_HEAD + number // columns * _HEIGHT})">{_chart(chart)}</g>'
        for number, chart in enumerate(charts)
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-labelledby="title desc">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="desc">{escape(description)}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
            f'<text class="title" x="14" y="30">{escape(title)}</text>',
            *drawn,
            "</svg>\n",
        )
    )


def steps(low: float, high: float, log: bool) -> list[float]:
    """Values for an axis to be marked at, the outer ones at or beyond low and high: powers of
    ten, or else 1, 2, 2.5 or 5 times one."""
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return [10.0**power for power in range(first, max(last, first + 1) + 1)]
    rough = (high - low or abs(high) or 1.0) / (_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _chart(chart: Chart) -> str:
    points = [point for series in chart.series for point in series.points]
    if not points:
        raise ValueError(f"{chart.name}: no point to draw")
    heights = [y for _, y in points] + ([chart.bound[0]] if chart.bound else [])
    # Where a curve is read against nothing, its shape must not come from where the axis begins.
    y_marks = steps(min(heights) if chart.log_y else min(0.0, *heights), max(heights), chart.log_y)
    widths = sorted({x for x, _ in points})
    x_marks = steps(widths[0], widths[-1], True) if chart.log_x else widths
    x_axis = _Axis(x_marks[0], max(x_marks[-1], x_marks[0] + 1e-9), chart.log_x, _LEFT,
                   _WIDTH - _RIGHT)  # fmt: skip
    y_axis = _Axis(y_marks[0], y_marks[-1], chart.log_y, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<text class="name" x="14" y="24">{escape(chart.name)}'
        f'<tspan class="unit">, {escape(chart.y)}</tspan></text>',
        f'<text class="small" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - _BOTTOM + 32}" '
        f'text-anchor="middle">{escape(chart.x)}</text>',
    ]
    for mark in y_marks:
        y = y_axis.at(mark)
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
            f'<text class="small" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{words(mark)}</text>"
        )
    free = -math.inf  # marks that would run into each other are left out
    for mark in x_marks:
        if (x := x_axis.at(mark)) - free < 20:
            continue
        free = x
        parts.append(
            f'<text class="small" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 16}" '
            f'text-anchor="middle">{words(mark)}</text>'
        )
    if chart.bound:
        y = y_axis.at(chart.bound[0])
        parts.append(
            f'<path class="bound" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
            f'<text class="small" x="{_WIDTH - _RIGHT}" y="{y - 4:.1f}" text-anchor="end">'
            f"{escape(chart.bound[1])}</text>"
        )
    at = float(_LEFT)
    for number, series in enumerate(chart.series):
        places = [(x_axis.at(x), y_axis.at(y)) for x, y in series.points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="s{number % 4}" points="{line}"/>')
        parts += [_mark(number, x, y, 3) for x, y in places]
        parts.append(
            f"{_mark(number, at + 4, 43, 4)}"
            f'<text class="small" x="{at + 12:.0f}" y="47">{escape(series.name)}</text>'
        )
        at += 26 + 6.2 * len(series.name)
    return "".join(parts)


def _mark(number: int, x: float, y: float, size: float) -> str:
    """A point of the series of this number: a disc, a square, a lozenge or a triangle."""
    kind = f'class="mark s{number % 4}"'
    if number % 4 == 0:
        return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'
    wide = size * 1.3
    corners = (
        [(-size, -size), (size, -size), (size, size), (-size, size)],
        [(0, -wide), (wide, 0), (0, wide), (-wide, 0)],
        [(0, -wide), (wide, size), (-wide, size)],
    )[number % 4 - 1]
    points = " ".join(f"{x + across:.1f},{y + down:.1f}" for across, down in corners)
    return f'<polygon {kind} points="{points}"/>'


def words(value: float) -> str:
    """A number as a mark of an axis has room for: 2500000 is 2.5 M."""
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:.10g}"
