"""An evaluation on the terminal."""

import math

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_lightning.errors import printable
from nas_lightning.tasks.intervals import FEW_UNITS
from nas_lightning.use.evaluation import ChannelDrift, Decided, Drift, Evaluation, GroupFigures
from nas_lightning.use.figures import Figure

_MOST_GROUPS_SHOWN = 20
_SAME_RATE = 1e-6
"""Rates that differ by less of themselves are equal: they are computed from times."""

_NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro f1"}
_ACCEPTED = {"accepted": "accepted", "accuracy_of_accepted": "accuracy of accepted"}


def print_evaluation(found: Evaluation) -> None:
    """What is delivered, what each window says alone, the classes, the groups, and what drifted."""
    console = Console()
    title = (
        f"{found.data}: {found.windows:,} windows of {found.recordings:,} recordings; 95 % intervals by {found.unit} "
        f"({found.units:,})"
    )
    if found.units < FEW_UNITS:
        title += f", which are wide because there {_are(found.units, found.unit)} only"
    _say(console, title)
    if found.decided is not None:
        _say(console, f"delivered decision ({found.decision}; no class counts as wrong):")
        console.print(_delivered(found, found.decided))
        _say(console, "by each window alone (the largest score; none is smoothed):")
    console.print(_alone(found))
    _print_classes(console, found)
    _print_groups(console, found.groups or ())
    for line in drift_lines(found.drift):
        _say(console, f"drift: {line}")


def _say(console: Console, line: str) -> None:
    console.print(printable(line), soft_wrap=True, highlight=False, markup=False)


def _are(count: int, word: str) -> str:
    return f"is 1 {word}" if count == 1 else f"are {count} {word}s"


def _figures(found: Evaluation) -> Table:
    return Table("figure", found.backend, *(["int8"] if found.int8 is not None else []))


def _delivered(found: Evaluation, decided: Decided) -> Table:
    table, int8 = _figures(found), None if found.int8 is None else found.int8.decided
    rows = _NAMES | {"of_recordings": "accuracy of recordings"} | _ACCEPTED
    for name, shown in rows.items():
        cells = [getattr(each, name) for each in (decided, int8) if each is not None]
        if any(cell is not None for cell in cells):
            table.add_row(shown, *map(_cell, cells))
    if found.no_class is not None:
        _add_no_class(table, found, found.no_class.decided, found.no_class.decided_int8)
    return table


def _alone(found: Evaluation) -> Table:
    table = _figures(found)
    rows = _NAMES | {"loss": "loss (temperature 1)"}
    if found.windows > found.recordings:
        rows |= {"of_recordings": "accuracy of recordings" + " (mean scores)" * (found.decided is not None)}
    for name, shown in (rows | _ACCEPTED).items():
        cells = [getattr(each, name) for each in (found, found.int8) if each is not None]
        if any(cell is not None for cell in cells):
            table.add_row(shown, *map(_cell, cells))
    if found.int8 is not None:
        table.add_row("same class", "", f"{found.int8.agreement:.4f}")
    if found.no_class is not None:
        _add_no_class(table, found, found.no_class.accepted, found.no_class.accepted_int8)
    return table


def _add_no_class(table: Table, found: Evaluation, own: Figure | None, int8: Figure | None) -> None:
    table.add_row("of no class accepted", *map(_cell, (own, int8)[: 1 + (found.int8 is not None)]))


def _cell(figure: Figure | float | None) -> str:
    return "" if figure is None else f"{figure:.4f}" if isinstance(figure, float) else str(figure)


def _print_classes(console: Console, found: Evaluation) -> None:
    table = Table("class" if found.decided is None else "class, as delivered", "windows", "recall", "precision")
    for each in found.classes if found.decided is None else found.decided.classes:
        figures = [(getattr(each, name), getattr(each, f"{name}_interval")) for name in ("recall", "precision")]
        shown = ("" if value is None or ends is None else str(Figure(value, ends)) for value, ends in figures)
        table.add_row(escape(printable(each.name)), f"{each.samples:,}", *shown)
    if found.no_class is not None:
        table.add_row(escape(f"{printable(found.no_class.label)}: none"), f"{found.no_class.windows:,}", "", "")
    console.print(table)


def _print_groups(console: Console, groups: tuple[GroupFigures, ...]) -> None:
    if not groups:
        return
    is_decided = any(each.decided is not None for each in groups)
    shown = [(each, each.decided if is_decided else each.accuracy) for each in groups]
    worst = sorted(shown, key=lambda pair: 1.0 if pair[1] is None else pair[1].value)
    table = Table("group", "recordings", "windows", "accuracy" + ", as delivered" * is_decided)
    for each, accuracy in worst[:_MOST_GROUPS_SHOWN]:
        sizes = f"{each.recordings:,}", f"{each.windows:,}"
        table.add_row(escape(printable(each.name)), *sizes, _cell(accuracy))
    console.print(table)
    if len(groups) > _MOST_GROUPS_SHOWN:
        console.print(f"the worst {_MOST_GROUPS_SHOWN} of {len(groups):,} groups; out=FILE.json has all")


def drift_lines(drift: Drift) -> list[str]:
    """What differs from the training in the digits that are shown, one sentence each."""
    lines = [line for each in drift.channels if (line := _of_channel(each)) is not None]
    now, before = ("none" if rates is None else _span(rates) for rates in (drift.rates, drift.trained_rates))
    if drift.rates is not None and now != before and not _are_equal(drift.rates, drift.trained_rates):
        lines.append(f"the sampling rates are {now}; those of the training were {before}")
    if drift.absent:
        lines.append(f"no recording is of {', '.join(drift.absent)}")
    return lines or ["nothing: all values lie within the ranges of the training, to four digits"]


def _of_channel(found: ChannelDrift) -> str | None:
    """What is said of a channel; None where the digits that are shown are within those of the training."""
    least, most, low, high = (
        f"{value:.4g}" for value in (found.least, found.most, found.trained_least, found.trained_most)
    )
    if not found.outside or (float(least) >= float(low) and float(most) <= float(high)):
        return None
    share = "less than 0.01%" if found.outside < 5e-5 else f"{found.outside:.2%}"
    return (
        f"{found.name}: {share} of the rows lie outside of {low} to {high}, the range in training; here {least} to "
        f"{most}"
    )


def _are_equal(rates: tuple[float, float], others: tuple[float, float] | None) -> bool:
    return others is not None and all(
        math.isclose(rate, other, rel_tol=_SAME_RATE) for rate, other in zip(rates, others, strict=True)
    )


def _span(rates: tuple[float, float]) -> str:
    low, high = (f"{rate:g}" for rate in rates)
    return f"{low} Hz" if low == high else f"{low} to {high} Hz"
