"""Tables: the end of one run, and the runs of a sweep side by side."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_lightning.errors import InputError
from nas_lightning.files import ERROR, OVERRIDES, damage, has_ended, read_record, write_text
from nas_lightning.report.alarms import rejecting
from nas_lightning.report.costs import CostReport
from nas_lightning.report.results import ComparedFrontEnd, RunMetrics, RunResult, Seeds
from nas_lightning.space.base import Blueprint
from nas_lightning.tasks.confidence import Share

COLUMNS = ("preset", "seed", "accuracy", "params", "macs", "seconds", "folder", "settings", "error")
"""Columns of the table of a sweep; accuracy is of ``test``, or of ``val`` where nothing was tested.

A run without a result has its folder, its settings, and why.
"""

Row = dict[str, str | int | float]
"""A row of the table of a sweep, by column."""


_UNITS = {
    "params": "parameters",
    "macs": "MACs",
    "flash_bytes": "bytes of flash",
    "ram_bytes": "bytes of RAM",
    "instructions": "instructions",
}
"""What the measures of a budget count."""


_UNUSED = 0.5
"""A network that uses less of every limit could be larger."""


def print_summary(result: RunResult, blueprint: Blueprint) -> None:
    """Print a run: what was gained, what it costs, how the search did against chance, and what was found.

    A decision that rejects nearly everything, and a search that lost to random choice, say so before everything else.
    """
    metrics, cost, control = result.metrics, result.cost, result.metrics.control
    alarms = [rejecting(metrics), control.sentence if control and control.verdict == "lost" else None]
    title = "\n".join(filter(None, alarms)) or "nas_lightning"
    table = Table(show_header=False, title=escape(title), title_justify="left")
    sections = (
        *(_of_gains(metrics, cost), _of_decisions(metrics), _of_cost(cost), _of_chance(metrics)),
        *(blueprint.summary(), _of_run(result)),
    )
    for section in sections:
        for row in section:
            table.add_row(*map(escape, row))
    Console().print(table)


Line = tuple[str, str]
"""A row of the summary: what, and how much."""


def _of_gains(metrics: RunMetrics, cost: CostReport) -> Iterator[Line]:
    """Whether it fits, how good it is, and what a hand-made network of at least its size reaches."""
    if cost.budget is not None:
        name = "the budget" if cost.device in (None, "none") else f"the budget of {cost.device}"
        yield "fits" if all(limit.holds for limit in cost.budget.values()) else "exceeds", f"{name}: {_shares(cost)}"
        used = max((limit.value / limit.limit for limit in cost.budget.values() if limit.limit), default=1.0)
        if metrics.search is not None and metrics.preset != "auto" and used < _UNUSED:
            yield "uses", f"{used:.0%} of {name} at most: nas_model_size=auto chooses a network that uses more of it"
    for split, figures, int8 in (("test", metrics.test, metrics.test_int8), ("val", metrics.val, metrics.val_int8)):
        if figures is not None:
            text = f"{figures['accuracy']:.4f}   macro F1 {figures['macro_f1']:.4f}"
            text += f"   int8 {int8['accuracy']:.4f}" if int8 else ""
            yield f"{split} accuracy", text + f"   {cost.params:,} parameters" * (split == metrics.tested)
    if (control := metrics.control) is not None:
        for reference in control.references:
            yield (
                f"hand-made {reference.name}",
                f"{reference.params:,} parameters: {control.metric} {reference.value:.4f} on val after "
                f"{control.epochs} epochs, where the search's first choice has {control.found:.4f}",
            )


def _shares(cost: CostReport) -> str:
    limits = (cost.budget or {}).items()
    return ", ".join(
        f"{limit.value:,} of {limit.limit:,} {_UNITS.get(name, name)} ({limit.value / limit.limit:.0%})"
        for name, limit in limits
    )


def _of_decisions(metrics: RunMetrics) -> Iterator[Line]:
    if (alignment := metrics.alignment) is not None and alignment.clear:
        moved = f"{alignment.moved:.4f} instead of {alignment.value:.4f}"
        yield "windows on val", f"{alignment.metric} {moved} if they begin {alignment.steps:,} steps earlier or later"
    split, confidence = metrics.tested, metrics.confidence
    if confidence is not None and confidence.rejection and (found := confidence.rejection.get(split)) is not None:
        shares = {"accepted": found.coverage, "accuracy of these": found.accuracy, "unknown": found.unknown_accepted}
        yield f"reject on {split}", ", ".join(_share(name, share) for name, share in shares.items() if share)
    if metrics.postprocess is not None and (smoothed := metrics.postprocess.splits.get(split)) is not None:
        text = f"{smoothed.method} of {smoothed.windows}: " if smoothed.windows > 1 else "no smoothing is best on val: "
        delay = "" if smoothed.delay_windows is None else f", right after {smoothed.delay_windows:g} windows (median)"
        accuracy = (
            f"accuracy {smoothed.by_window['accuracy']:.4f}, of recordings {smoothed.by_recording['accuracy']:.4f}"
        )
        yield f"smoothed {split}", text + accuracy + delay


def _share(name: str, share: Share) -> str:
    return f"{name} {share.value:.1%} ({share.low:.1%} to {share.high:.1%} of {share.samples:,})"


def _of_cost(cost: CostReport) -> Iterator[Line]:
    yield (
        "cost",
        f"{cost.params:,} parameters, {cost.macs:,} MACs, {cost.flash_bytes:,} bytes of flash, "
        f"{cost.ram_bytes:,} of RAM ({cost.weight_bits}-bit weights, {cost.activation_bits}-bit activations)",
    )
    if (found := cost.measured) is not None:
        text = (
            f"{found.flash_bytes:,} bytes of flash, {found.ram_bytes:,} of RAM, {found.stack_bytes:,} of stack, "
            f"{found.instructions:,} instructions ({found.numbers}"
        )
        if found.milliseconds is not None:
            text += f"; {found.milliseconds:.2f} ms at {found.clock_mhz:g} MHz if each took one cycle"
        yield f"on {found.core}", text + ")"
    if cost.npu_report is not None:
        accelerated = sum(row.accelerated for row in cost.npu_report)
        yield "NPU", f"{accelerated} of {len(cost.npu_report)} layers accelerated; the rest: cost.json"


def _of_chance(metrics: RunMetrics) -> Iterator[Line]:
    if metrics.control is not None:
        yield "control", metrics.control.sentence
    if metrics.seeds is not None:
        yield "seeds", _seeds(metrics.seeds)


def _of_run(result: RunResult) -> Iterator[Line]:
    yield "seconds", ", ".join(f"{stage} {spent:.0f}" for stage, spent in result.metrics.stage_seconds.items())
    yield "files", str(result.folder)
    if (result.folder / "tensorboard").is_dir():
        yield "next", f"tensorboard --logdir {result.folder}"


def _seeds(found: Seeds) -> str:
    text = f"{found.verdict}: {min(found.values):.4f} to {max(found.values):.4f} on val after {found.epochs} epochs"
    if found.agreement is None:  # a strategy that learns no op weights
        return text
    agreement = [share for shares in found.agreement.values() for share in shares]
    return f"{text}; they agree on {sum(agreement) / len(agreement):.0%} of the edges"


def print_front_ends(rows: Sequence[ComparedFrontEnd], best: str, metric: str) -> None:
    """Print the front ends that were compared, with the costs of each with its network, and which is kept."""
    columns = ("front end", f"val {metric}", "MACs", "RAM, bytes")
    table = Table(*columns, title=escape(f"kept: {best}"), title_justify="left")
    for row in rows:
        if row.val is not None:
            figures = (f"{row.val:.4f}", f"{row.cost['macs']:,}", f"{row.cost['ram_bytes']:,}")
        else:
            figures = ("left out", "", "")
        table.add_row(escape(row.name), *figures)
    Console().print(table)


def run_row(folder: Path) -> Row:
    """One row of a sweep's table; of a run without a result it says why there is none."""
    row: Row = {**dict.fromkeys(COLUMNS, ""), "folder": folder.name}
    if (path := folder / ERROR).is_file():
        return row | {"error": " ".join(path.read_text(encoding="utf-8", errors="replace").split())}
    try:
        if not has_ended(folder):  # with training.enable=false there are no figures
            return row
        return row | _result(folder)
    except InputError as damaged:
        return row | {"error": str(damaged)}


def _result(folder: Path) -> Row:
    metrics, cost = read_record(folder / "metrics.json", RunMetrics), read_record(folder / "cost.json", CostReport)
    with damage(folder / "metrics.json"):
        accuracy = metrics.figures(metrics.tested)["accuracy"]
    return {
        "preset": metrics.preset,
        "seed": metrics.seed,
        "accuracy": round(accuracy, 4),
        "params": cost.params,
        "macs": cost.macs,
        "seconds": round(sum(metrics.stage_seconds.values()), 1),
    }


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as comma-separated values with a header; None is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _name_what_differs(sweep_folder: Path, rows: list[Row]) -> None:
    """Fill ``settings``: what was set for a run and not for all, besides what has a column of its own."""
    paths = [sweep_folder / str(row["folder"]) / OVERRIDES for row in rows]
    settings = [path.read_text(encoding="utf-8").splitlines() if path.is_file() else [] for path in paths]
    common = set.intersection(*map(set, settings)) if settings else set()
    for row, own in zip(rows, settings, strict=True):
        shown = [s for s in own if s not in common and not s.startswith(("nas_model_size=", "seed="))]
        row["settings"] = " ".join(shown)


def sweep_rows(sweep_folder: Path) -> list[Row]:
    """A row for each run of a sweep that began."""
    marks = ("metrics.json", OVERRIDES, ERROR)
    found = {path.parent for mark in marks for path in sweep_folder.glob(f"*/{mark}")}
    folders = sorted(found, key=lambda path: (len(path.name), path.name))
    rows = [run_row(folder) for folder in folders]
    _name_what_differs(sweep_folder, rows)
    return rows


def write_sweep_table(sweep_folder: Path) -> list[Row]:
    """Write ``table.csv`` and ``table.md`` of the runs of a sweep that began, print the table, and return its rows."""
    rows = sweep_rows(sweep_folder)
    write_text(sweep_folder / "table.csv", csv_text(COLUMNS, rows))
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(str(row[column]).replace("|", r"\|") for column in COLUMNS) + " |" for row in rows]
    write_text(sweep_folder / "table.md", "\n".join(lines) + "\n")
    shown = [column for column in COLUMNS if column != "error" or any(row["error"] for row in rows)]
    table = Table(*shown, title=escape(f"{len(rows)} runs: {sweep_folder}"), title_justify="left")
    for row in rows:
        table.add_row(*(escape(str(row[column])) for column in shown))
    Console().print(table)
    return rows
