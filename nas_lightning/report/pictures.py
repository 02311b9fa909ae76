"""Pictures: alpha heatmaps, the confusion matrix and so on. Each function returns a matplotlib Figure."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from nas_lightning.space.base import Decisions
from nas_lightning.tasks import Classification, Task
from nas_lightning.tasks.classification import confusion


def alpha_heatmap(alphas: np.ndarray, table: Decisions, kept: Sequence[tuple[int, int]], title: str) -> Figure:
    """Alphas of a table: values printed, what each decision keeps framed.

    Args:
        alphas: raw alphas ``[rows, options]``.
        table: the names of rows and columns.
        kept: row and column of each decision.
        title: above the picture.
    """
    figure = Figure(figsize=(1.5 + 1.05 * alphas.shape[1], 1.6 + 0.42 * alphas.shape[0]), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(alphas, aspect="auto", cmap="viridis")
    _label_axes(axes, table.rows, table.options)
    axes.set(title=title, ylabel="edge")
    _print_values(axes, alphas, "{:.3f}", dark_below=float((alphas.min() + alphas.max()) / 2))
    for row, column in kept:
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2.5))
    figure.colorbar(image, label="alpha (red frame: kept)")
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
