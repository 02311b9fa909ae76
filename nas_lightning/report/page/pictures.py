"""What the page of a run draws. Each function returns a matplotlib Figure, to be made within ``svg.style_of_page``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nas_lightning.errors import brief
from nas_lightning.report.history import Columns
from nas_lightning.report.page.svg import LINE, MUTED, PAPER, SERIES
from nas_lightning.report.pictures import plain

WIDTH = 5.2
"""Inches of a picture, few enough that its letters can be read on a telephone."""

_LONGEST = 26
_MOST_EPOCHS = 80


def label(text: str) -> str:
    """A name in a picture: short, printable, and no mathematics."""
    text = brief(text)
    return plain(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


@dataclass(frozen=True)
class Line:
    """A figure of a fit by epoch.

    Attributes:
        columns: of the fit.
        figure: which of them.
        name: in the legend; empty for none.
        is_pale: whether it is only in the background.
    """

    columns: Columns
    figure: str
    name: str = ""
    is_pale: bool = False


def curves_picture(lines: Sequence[Line], title: str, best_epoch: int | None = None) -> Figure:
    """Figures by epoch.

    Args:
        lines: those in the background first.
        title: above.
        best_epoch: is marked; None for none.
    """
    below = 0.2 * -(-(sum(bool(each.name) for each in lines) + (best_epoch is not None)) // 3)  # rows of the legend
    figure, axes = _framed(WIDTH, 2.7 + below, left=0.55, bottom=0.65 + below, top=0.3)
    colors = iter(SERIES)
    for each in lines:
        pairs = zip(each.columns["epoch"], each.columns[each.figure], strict=True)
        points = np.array([pair for pair in pairs if None not in pair], dtype=float).reshape(-1, 2)
        color = MUTED if each.is_pale else next(colors)
        marker = "o" if len(points) == 1 else None
        alpha, width = (0.5, 0.9) if each.is_pale else (1.0, 1.6)
        line: Any = {"color": color, "alpha": alpha, "linewidth": width, "marker": marker, "markersize": 4}
        axes.plot(points[:, 0], points[:, 1], label=each.name or None, **line)
    if best_epoch is not None:
        axes.axvline(best_epoch, color=MUTED, linestyle=":", linewidth=1.2, label="kept epoch")
    axes.set(title=title, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    figure.legend(loc="lower center", ncols=3, handlelength=1.4, columnspacing=1.2)
    return figure


def _framed(width: float, height: float, left: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """A figure with margins in inches: to find them by drawing twice would take half of the time of the page."""
    figure = Figure(figsize=(width, height))
    room = (left / width, bottom / height, 1 - (left + 0.1) / width, 1 - (bottom + top) / height)
    return figure, figure.add_axes(room)


def decisions_picture(options: Mapping[str, Sequence[str]], epochs: Sequence[int]) -> Figure:
    """What each decision of a search would have kept by epoch, a colour an option.

    Args:
        options: by the name of a decision, the name of the option in each epoch.
        epochs: the first is 1.
    """
    chosen = _spread(len(epochs), _MOST_EPOCHS)
    names = sorted({name for row in options.values() for name in row})
    looks = {name: _look(number) for number, name in enumerate(names)}
    figure = Figure(figsize=(WIDTH, 1.1 + 0.25 * len(options) + 0.25 * -(-len(names) // 2)), layout="constrained")
    axes = figure.subplots()
    for row, kept in enumerate(options.values()):
        left = 0
        for name, same in groupby(kept[index] for index in chosen):
            width = len(list(same))
            axes.barh(row, width, 0.86, left=left, linewidth=0, **looks[name])
            left += width
    for name in names:
        axes.bar(0, 0, label=label(name), linewidth=0, **looks[name])
    ticks = _spread(len(chosen), 6)
    axes.set_xticks([tick + 0.5 for tick in ticks], [str(epochs[chosen[tick]]) for tick in ticks])
    axes.set_yticks(range(len(options)), [label(name) for name in options])
    axes.set(xlim=(0, len(chosen)), ylim=(len(options) - 0.4, -0.6), xlabel="epoch")
    axes.grid(visible=False)
    figure.legend(loc="outside lower center", ncols=2, handlelength=1, columnspacing=1.2)
    return figure


def _look(number: int) -> dict[str, Any]:
    """Of a bar; there are more operations than colours."""
    return {
        "color": SERIES[number % len(SERIES)],
        "hatch": "////" if number >= len(SERIES) else None,
        "edgecolor": PAPER,
    }


def _spread(count: int, most: int) -> list[int]:
    """Up to ``most`` places of ``count``, with the first and the last."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most)).tolist()})


def control_picture(found: float, random: Sequence[float], references: Sequence[tuple[str, float]]) -> Figure:
    """The value of what was found among those of random and of hand-made networks, on one axis."""
    rows = [("random networks", list(random)), ("first choice", [found])] + [
        (name, [value]) for name, value in references
    ]
    figure, axes = _framed(WIDTH, 0.5 + 0.34 * len(rows), left=1.75, bottom=0.35, top=0.1)
    for row, (_, values) in enumerate(rows):
        color = {0: MUTED, 1: SERIES[0]}.get(row, SERIES[1])
        axes.plot(values, [row] * len(values), "o", color=color, markersize=7, alpha=0.75, markeredgewidth=0)
    axes.set_yticks(range(len(rows)), [label(name) for name, _ in rows])
    axes.set(ylim=(len(rows) - 0.5, -0.5))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def signal_picture(values: np.ndarray, rows: int) -> Figure:
    """A sample ``[C, points]`` of ``rows`` rows, a line a channel."""
    figure, axes = _framed(3.4, 1.6, left=0.5, bottom=0.3, top=0.1)
    steps = np.linspace(0, rows - 1, values.shape[1])
    for number, channel in enumerate(values):
        axes.plot(steps, channel, color=SERIES[number % len(SERIES)], linewidth=1.0)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    return figure


def points_picture(
    points: Sequence[tuple[float, float, str]], front: Sequence[tuple[float, float]], names: tuple[str, str]
) -> Figure:
    """Networks by cost and figure, and the front of those that no other beats in both.

    Args:
        points: cost, figure and a short name of each.
        front: those of the front, in the order of cost.
        names: of the two axes.
    """
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    if front:
        axes.step(*zip(*front, strict=True), where="post", color=SERIES[1], linewidth=1.2, label="best for its cost")
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], "o", color=SERIES[0], markersize=6)
    for x, y, name in points:
        axes.annotate(label(name), (x, y), xytext=(5, 4), textcoords="offset points", fontsize=10, color=MUTED)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.margins(0.12)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    return figure


def parallel_picture(columns: Sequence[tuple[str, Sequence[float | str]]], shade: Sequence[float]) -> Figure:
    """A line a run through its values, an axis a column: numbers by value, words by their place.

    Args:
        columns: a name, and the value of each run.
        shade: of each run from 0 to 1, by which lines are told apart.
    """
    figure = Figure(figsize=(max(WIDTH, 1.5 * len(columns)), 3.6), layout="constrained")
    axes = figure.subplots()
    heights = [_heights(axes, place, values) for place, (_, values) in enumerate(columns)]
    for run, strength in enumerate(shade):
        line = [column[run] for column in heights]
        axes.plot(range(len(line)), line, color=SERIES[0], alpha=0.15 + 0.85 * strength, linewidth=1 + strength)
    axes.set_xticks(range(len(columns)), [label(name) for name, _ in columns], rotation=20, ha="right")
    axes.set(yticks=[], ylim=(-0.08, 1.08), xlim=(-0.3, len(columns) - 0.4))
    axes.spines["left"].set_visible(False)
    axes.grid(visible=True, axis="x", color=LINE)
    return figure


def _heights(axes: Axes, place: int, values: Sequence[float | str]) -> list[float]:
    """Where each run stands on an axis from 0 to 1, whose ends or words are written beside it."""
    if all(isinstance(value, int | float) for value in values):
        numbers = [float(value) for value in values]
        low, high = min(numbers), max(numbers)
        marks = {0.0: f"{low:g}", 1.0: f"{high:g}"} if high > low else {0.5: f"{low:g}"}
        heights = [(number - low) / (high - low) if high > low else 0.5 for number in numbers]
    else:
        words = sorted({str(value) for value in values})
        of_word = {word: i / (len(words) - 1) if len(words) > 1 else 0.5 for i, word in enumerate(words)}
        marks = {height: label(word) for word, height in of_word.items()}
        heights = [of_word[str(value)] for value in values]
    for height, text in marks.items():
        box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
        axes.text(place + 0.04, height, text, fontsize=10, color=MUTED, va="center", bbox=box, zorder=3)
    return heights
