"""Pictures: alpha heatmaps, the drawn genotype, the confusion matrix. Each function returns a matplotlib Figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor

from nas_lightning.space.genotype import KINDS, Genotype, live_nodes
from nas_lightning.space.size import edges
from nas_lightning.tasks import Classification, Task
from nas_lightning.tasks.classification import confusion

_OP_COLORS = {"skip": "#7f7f7f", "avg": "#2ca02c", "max": "#2ca02c", "conv": "#1f77b4"}
_OTHER_COLOR = "#9467bd"


def alpha_heatmap(alphas: np.ndarray, ops: Sequence[str], kept: Sequence[tuple[str, int]], title: str) -> Figure:
    """Alphas ``[E, O]``: rows edges, columns operations, values printed, the kept choice of each node framed.

    Args:
        alphas: raw alphas.
        ops: names of the columns.
        kept: ``(operation, input node)`` per node.
        title: above the picture.
    """
    rows = edges(len(kept))
    figure = Figure(figsize=(1.5 + 1.05 * len(ops), 1.6 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(alphas, aspect="auto", cmap="viridis")
    _label_axes(axes, [f"{source} → {target}" for source, target in rows], ops)
    axes.set(title=title, ylabel="edge")
    _print_values(axes, alphas, "{:.3f}", dark_below=float((alphas.min() + alphas.max()) / 2))
    for node, (op, source) in enumerate(kept, start=1):
        corner = (list(ops).index(op) - 0.5, rows.index((source, node)) - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="red", linewidth=2.5))
    figure.colorbar(image, label="alpha (red frame: kept)")
    return figure


def genotype_drawing(genotype: Genotype, fanout_concat: int) -> Figure:
    """Both kinds of cell as graphs that run from left to right."""
    depth = max(x for kind in KINDS for x, _ in _places(genotype.cell(kind)).values())
    figure = Figure(figsize=(3 + 2.6 * (depth + 1), 1.0 + 1.15 * 2 * max(2, genotype.num_nodes)), layout="constrained")
    for axes, kind in zip(figure.subplots(2, 1), KINDS, strict=True):
        _draw_cell(axes, genotype, kind, fanout_concat)
    return figure


def outcome_picture(task: Task, outputs: Tensor, target: Tensor, split: str) -> tuple[str, Figure]:
    """The outputs of a whole split against their targets, and the name of this picture."""
    assert isinstance(task, Classification)  # nosec B101 # another task has another picture
    return "confusion", confusion_picture(confusion(outputs, target).numpy(), task.names, split)


def confusion_picture(counts: np.ndarray, class_names: Sequence[str], split: str) -> Figure:
    """Confusion counts ``[K, K]``: rows the true class, columns the predicted one, coloured by the share of the row."""
    side = 2.2 + 0.62 * len(class_names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    share = counts / counts.sum(1, keepdims=True).clip(min=1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    names = [plain(name) for name in class_names]
    _label_axes(axes, names, names)
    axes.set(title=f"{split} split", xlabel="predicted", ylabel="true")
    _print_values(axes, counts, "{:d}", white=share > 0.5)
    figure.colorbar(image, label="share of the true class")
    return figure


def tradeoff_picture(points: Sequence[tuple[int, float]], measure: str, target: float) -> Figure:
    """Accuracy on ``val`` against a cost: one trained network a point, numbered in the order of the rounds."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for number, (cost, accuracy) in enumerate(points):
        axes.plot(cost, accuracy, "o", color="#1f77b4" if accuracy >= target else "#d62728")
        axes.annotate(str(number), (cost, accuracy), xytext=(4, 4), textcoords="offset points", fontsize=8)
    axes.axhline(target, linestyle="--", color="#7f7f7f", label=f"target {target:g}")
    axes.set(xscale="log", xlabel=measure, ylabel="accuracy on val")
    axes.legend()
    return figure


def plain(name: str) -> str:
    """A class name as text: matplotlib would read what stands between dollar signs as mathematics."""
    return name.replace("$", r"\$")


def augmentation_picture(originals: np.ndarray, augmented: np.ndarray) -> Figure:
    """Samples ``[N, C, L]`` above, what the augmentation made of them below."""
    figure = Figure(figsize=(3.2 * len(originals), 5), layout="constrained")
    axes = figure.subplots(2, len(originals), squeeze=False)
    for row, (name, samples) in enumerate((("original", originals), ("augmented", augmented))):
        for axis, sample in zip(axes[row], samples, strict=True):
            axis.plot(sample.T, linewidth=0.8)
        axes[row, 0].set_ylabel(name)
    return figure


def _label_axes(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")


def _print_values(
    axes: Axes, values: np.ndarray, form: str, dark_below: float | None = None, white: np.ndarray | None = None
) -> None:
    white = values < dark_below if white is None else white
    for (row, column), value in np.ndenumerate(values):
        color = "white" if white[row, column] else "black"
        axes.text(column, row, form.format(value), ha="center", va="center", fontsize=8, color=color)


def _draw_cell(axes: Axes, genotype: Genotype, kind: str, fanout_concat: int) -> None:
    nodes = genotype.cell(kind)
    place = _places(nodes)
    live = live_nodes(genotype.cell(kind), fanout_concat)
    out_x = max(x for x, _ in place.values()) + 1
    middle = sum(y for _, y in place.values()) / len(place)
    for node, (op, source) in enumerate(nodes, start=1):
        color = next((color for part, color in _OP_COLORS.items() if op.startswith(part)), _OTHER_COLOR)
        alpha = 1.0 if node in live else 0.25
        _arrow(axes, place[source], place[node], color, alpha)
        x = 0.45 * place[source][0] + 0.55 * place[node][0]
        y = 0.45 * place[source][1] + 0.55 * place[node][1]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
        axes.text(x, y, op, ha="center", va="center", fontsize=9, color=color, alpha=alpha, bbox=box)
        if node > len(nodes) - fanout_concat:
            bend = 0.0 if place[node][0] == out_x - 1 else -0.25  # around the nodes that stand in between
            _arrow(axes, place[node], (out_x, middle), "#bbbbbb", 1.0, bend)
    for node, (x, y) in place.items():
        _box(axes, x, y, "input" if node == 0 else str(node), "#ffe9b3" if node == 0 else "#dce9f7")
    _box(axes, out_x, middle, "concat", "#ffe9b3")
    rows = [y for _, y in place.values()]
    axes.set(xlim=(-0.4, out_x + 0.4), ylim=(min(rows) - 0.6, max(rows) + 0.6))
    axes.set_title(f"{kind} cell", loc="left", fontweight="bold")
    axes.axis("off")


def _places(nodes: Sequence[tuple[str, int]]) -> dict[int, tuple[float, float]]:
    """A cell is a tree, as every node has one input: x is the depth, leaves have their rows, parents stand between."""
    children = {node: [i for i, (_, s) in enumerate(nodes, start=1) if s == node] for node in range(len(nodes) + 1)}
    place: dict[int, tuple[float, float]] = {}
    num_leaves = 0

    def put(node: int, depth: int) -> float:
        nonlocal num_leaves
        rows = [put(child, depth + 1) for child in children[node]]
        if not rows:
            rows = [-float(num_leaves)]
            num_leaves += 1
        place[node] = (float(depth), sum(rows) / len(rows))
        return place[node][1]

    put(0, 0)
    return place


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str, alpha: float, bend: float = 0.0
) -> None:
    style = {"arrowstyle": "-|>", "color": color, "alpha": alpha, "shrinkA": 20, "shrinkB": 28, "linewidth": 1.6}
    axes.annotate("", xy=end, xytext=start, arrowprops=style | {"connectionstyle": f"arc3,rad={bend}"}, zorder=1)


def _box(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    corner, width, height = (x - 0.11, y - 0.16), 0.22, 0.32
    style = "round,pad=0.02"
    axes.add_patch(FancyBboxPatch(corner, width, height, style, facecolor=color, edgecolor="#444444", zorder=2))
    axes.text(x, y, text, ha="center", va="center", fontsize=10, zorder=3)
