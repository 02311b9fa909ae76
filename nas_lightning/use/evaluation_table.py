"""An evaluation on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_lightning.errors import printable
from nas_lightning.use.evaluation import Drift, Evaluation, GroupFigures
from nas_lightning.use.figures import Figure

_MOST_GROUPS_SHOWN = 20


def print_evaluation(found: Evaluation) -> None:
    """A table of the whole, one of the classes, one of the groups, and what drifted."""
    console = Console()
    title = (
        f"{found.data}: {found.windows:,} windows of {found.recordings:,} recordings; 95 % intervals by {found.unit} "
        f"({found.units:,})"
    )
    console.print(printable(title), soft_wrap=True, highlight=False, markup=False)
    whole = Table("figure", found.backend, *(["int8"] if found.int8 is not None else []))
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "loss"):
        cells = [getattr(each, name) for each in (found, found.int8) if each is not None]
        shown = (f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells)
        whole.add_row(name.replace("_", " "), *shown)
    if found.windows > found.recordings:
        whole.add_row("accuracy of recordings", str(found.of_recordings))
    if found.int8 is not None:
        whole.add_row("same class", "", f"{found.int8.agreement:.4f}")
    if found.accepted is not None:
        whole.add_row("accepted", f"{found.accepted:.4f}")
    if found.no_class is not None:
        int8 = [str(found.no_class.accepted_int8 or "")] * (found.int8 is not None)
        whole.add_row("of no class accepted", str(found.no_class.accepted), *int8)
    console.print(whole)
    _print_classes(console, found)
    _print_groups(console, found.groups or ())
    _print_drift(console, found.drift)


def _print_classes(console: Console, found: Evaluation) -> None:
    table = Table("class", "windows", "recall", "precision")
    for each in found.classes:
        figures = [(getattr(each, name), getattr(each, f"{name}_interval")) for name in ("recall", "precision")]
        shown = ("" if value is None or ends is None else str(Figure(value, ends)) for value, ends in figures)
        table.add_row(escape(printable(each.name)), f"{each.samples:,}", *shown)
    if found.no_class is not None:
        table.add_row(escape(f"{printable(found.no_class.label)}: none"), f"{found.no_class.windows:,}", "", "")
    console.print(table)


def _print_groups(console: Console, groups: tuple[GroupFigures, ...]) -> None:
    if not groups:
        return
    worst = sorted(groups, key=lambda each: 1.0 if each.accuracy is None else each.accuracy.value)
    table = Table("group", "recordings", "windows", "accuracy")
    for each in worst[:_MOST_GROUPS_SHOWN]:
        sizes = f"{each.recordings:,}", f"{each.windows:,}"
        table.add_row(escape(printable(each.name)), *sizes, str(each.accuracy or ""))
    console.print(table)
    if len(groups) > _MOST_GROUPS_SHOWN:
        console.print(f"the worst {_MOST_GROUPS_SHOWN} of {len(groups):,} groups; out=FILE.json has all")


def _print_drift(console: Console, drift: Drift) -> None:
    lines = [
        f"{each.name}: {each.outside:.2%} of the rows lie outside of {each.trained_least:.4g} to "
        f"{each.trained_most:.4g}, the range in training; here {each.least:.4g} to {each.most:.4g}"
        for each in drift.channels
        if each.outside
    ]
    if drift.rates is not None and drift.rates != drift.trained_rates:
        now, before = ("none" if rates is None else _span(rates) for rates in (drift.rates, drift.trained_rates))
        lines.append(f"the sampling rates are {now}; those of the training were {before}")
    if drift.absent:
        lines.append(f"no recording is of {', '.join(drift.absent)}")
    for line in lines or ["nothing: all values lie within the ranges of the training"]:
        console.print(f"drift: {printable(line)}", soft_wrap=True, highlight=False, markup=False)


def _span(rates: tuple[float, float]) -> str:
    low, high = rates
    return f"{low:g} Hz" if low == high else f"{low:g} to {high:g} Hz"
