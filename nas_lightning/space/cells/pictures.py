"""The drawn genotype, as a matplotlib Figure."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from nas_lightning.space.cells.genotype import KINDS, Genotype, live_nodes

_OP_COLORS = {"skip": "#7f7f7f", "avg": "#2ca02c", "max": "#2ca02c", "conv": "#1f77b4"}
_OTHER_COLOR = "#9467bd"


def genotype_drawing(genotype: Genotype, fanout_concat: int) -> Figure:
    """Both kinds of cell as graphs that run from left to right."""
    depth = max(x for kind in KINDS for x, _ in _places(genotype.cell(kind)).values())
    figure = Figure(figsize=(3 + 2.6 * (depth + 1), 1.0 + 1.15 * 2 * max(2, genotype.num_nodes)), layout="constrained")
    for axes, kind in zip(figure.subplots(2, 1), KINDS, strict=True):
        _draw_cell(axes, genotype, kind, fanout_concat)
    return figure


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
