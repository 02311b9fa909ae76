"""Tables: the end of one run, and the runs of a sweep side by side."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from nas_lightning.errors import InputError
from nas_lightning.files import damage, has_ended, read_json, write_text
from nas_lightning.space.genotype import KINDS

COLUMNS = ("preset", "seed", "accuracy", "params", "macs", "seconds", "folder", "settings", "error")
"""Columns of the table of a sweep; accuracy is of ``test``, or of ``val`` where nothing was tested.

A run without a result has its folder, its settings, and why.
"""

STAGES = ("search", "control", "training")
"""The sections of ``metrics.json`` that take time, in their order."""

OVERRIDES = "overrides.txt"
"""What was set for a run of a sweep, a line each."""

ERROR = "error.txt"
"""What ended a run of a sweep."""


def print_summary(folder: Path, blueprint: dict[str, Any], metrics: dict[str, Any], cost: dict[str, Any]) -> None:
    """Print what was found, how good it is, what it costs and where it lies."""
    lost = metrics.get("control", {}).get("verdict") == "lost"
    title = metrics["control"]["sentence"] if lost else "nas_lightning"
    table = Table(show_header=False, title=title, title_justify="left")
    for kind in KINDS:
        if kind in blueprint:
            cell = ", ".join(f"{node}: {op} of {source}" for node, (op, source) in enumerate(blueprint[kind], start=1))
            table.add_row(f"{kind} cell", cell)
    if "widths" in blueprint:
        table.add_row("hand-made", f"widths {blueprint['widths']}, kernel {blueprint['kernel_size']}")
    for split in ("test", "val"):
        if split in metrics:
            figures = metrics[split]
            int8 = metrics.get(f"{split}_int8")
            text = f"{figures['accuracy']:.4f}   macro F1 {figures['macro_f1']:.4f}"
            table.add_row(f"{split} accuracy", text + (f"   int8 {int8['accuracy']:.4f}" if int8 else ""))
    table.add_row(
        "cost",
        f"{cost['params']:,} parameters, {cost['macs']:,} MACs, {cost['flash_bytes']:,} bytes of flash, "
        f"{cost['ram_bytes']:,} of RAM ({cost['weight_bits']}-bit weights, {cost['activation_bits']}-bit activations)",
    )
    if "measured" in cost:
        table.add_row(f"on {cost['measured']['core']}", _measured(cost["measured"]))
    if "seeds" in metrics:
        table.add_row("seeds", _seeds(metrics["seeds"]))
    if "control" in metrics:
        table.add_row("control", metrics["control"]["sentence"])
        for reference in metrics["control"]["references"]:
            text = f"{reference['params']:,} parameters, {reference['value']:.4f} after as many epochs"
            table.add_row(f"hand-made {reference['name']}", text)
    if "budget" in cost:
        shares = [f"{measure} {b['value'] / b['limit']:.0%} of {b['limit']:,}" for measure, b in cost["budget"].items()]
        table.add_row("budget", ", ".join(shares))
    if "npu_report" in cost:
        accelerated = sum(row["accelerated"] for row in cost["npu_report"])
        table.add_row("NPU", f"{accelerated} of {len(cost['npu_report'])} layers accelerated; the rest: cost.json")
    table.add_row(
        "seconds",
        ", ".join(f"{stage} {metrics[stage]['seconds']:.0f}" for stage in STAGES if stage in metrics),
    )
    table.add_row("files", escape(str(folder)))
    if (folder / "tensorboard").is_dir():
        table.add_row("next", escape(f"tensorboard --logdir {folder}"))
    Console().print(table)


def _seeds(found: dict[str, Any]) -> str:
    values, epochs = found["values"], found["epochs"]
    text = f"{found['verdict']}: {min(values):.4f} to {max(values):.4f} on val after {epochs} epochs"
    if found["agreement"] is None:  # a strategy that learns no op weights
        return text
    agreement = [share for shares in found["agreement"].values() for share in shares]
    return f"{text}; they agree on {sum(agreement) / len(agreement):.0%} of the edges"


def _measured(found: dict[str, Any]) -> str:
    text = (
        f"{found['flash_bytes']:,} bytes of flash, {found['ram_bytes']:,} of RAM, {found['stack_bytes']:,} of stack, "
        f"{found['instructions']:,} instructions ({found['numbers']}"
    )
    if "milliseconds" in found:
        text += f"; {found['milliseconds']:.2f} ms at {found['clock_mhz']:g} MHz if each took one cycle"
    return text + ")"


def print_devices(cards: Sequence[Any]) -> None:
    """Print the device cards: memories, clock, core, NPU; below, where the values of each are from."""
    columns = ("device", "core", "MHz", "flash KB", "RAM KB", "NPU", "NPU rules")
    table = Table(*(Column(name, no_wrap=True) for name in columns))
    console = Console()
    for card in cards:
        memories = ["-" if size is None else f"{size / 1024:,.0f}" for size in (card.flash_bytes, card.ram_bytes)]
        clock = "-" if card.clock_mhz is None else f"{card.clock_mhz:g}"
        table.add_row(card.name, card.core or "-", clock, *memories, card.npu or "-", card.npu_profile or "-")
    console.print(table)
    for card in cards:
        text = ". ".join(part for part in (card.source, card.note) if part)
        if text:
            console.print(f"{card.name}: {text}", soft_wrap=True, highlight=False, markup=False)


def print_front_ends(rows: Sequence[dict[str, Any]], best: str, metric: str) -> None:
    """Print the front ends that were compared, with the costs of each with its network, and which is kept."""
    columns = ("front end", f"val {metric}", "MACs", "RAM, bytes")
    table = Table(*columns, title=escape(f"kept: {best}"), title_justify="left")
    for row in rows:
        if row["why_not"] is None:
            figures = (f"{row['val']:.4f}", f"{row['macs']:,}", f"{row['ram_bytes']:,}")
        else:
            figures = ("left out", "", "")
        table.add_row(escape(row["front_end"]), *figures)
    Console().print(table)


def run_row(folder: Path) -> dict[str, Any]:
    """One row of a sweep's table; of a run without a result it says why there is none."""
    row = dict.fromkeys(COLUMNS, "") | {"folder": folder.name}
    if (path := folder / ERROR).is_file():
        return row | {"error": " ".join(path.read_text(encoding="utf-8", errors="replace").split())}
    try:
        if not has_ended(folder):  # with training.enable=false there are no figures
            return row
        with damage(folder / "metrics.json"):
            return row | _result(read_json(folder / "metrics.json"), read_json(folder / "cost.json"))
    except InputError as damaged:
        return row | {"error": str(damaged)}


def _result(metrics: dict[str, Any], cost: dict[str, Any]) -> dict[str, Any]:
    figures = metrics.get("test", metrics["val"])
    return {
        "preset": metrics["preset"],
        "seed": metrics["seed"],
        "accuracy": round(figures["accuracy"], 4),
        "params": cost["params"],
        "macs": cost["macs"],
        "seconds": round(sum(metrics[stage]["seconds"] for stage in STAGES if stage in metrics), 1),
    }


def csv_text(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> str:
    """Rows as comma-separated values with a header; None is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _name_what_differs(sweep_folder: Path, rows: list[dict[str, Any]]) -> None:
    """Fill ``settings``: what was set for a run and not for all, besides what has a column of its own."""
    paths = [sweep_folder / str(row["folder"]) / OVERRIDES for row in rows]
    settings = [path.read_text(encoding="utf-8").splitlines() if path.is_file() else [] for path in paths]
    common = set.intersection(*map(set, settings)) if settings else set()
    for row, own in zip(rows, settings, strict=True):
        shown = [s for s in own if s not in common and not s.startswith(("nas_model_size=", "seed="))]
        row["settings"] = " ".join(shown)


def write_sweep_table(sweep_folder: Path) -> list[dict[str, Any]]:
    """Write ``table.csv`` and ``table.md`` of the runs of a sweep that began, print the table, and return its rows."""
    marks = ("metrics.json", OVERRIDES, ERROR)
    found = {path.parent for mark in marks for path in sweep_folder.glob(f"*/{mark}")}
    folders = sorted(found, key=lambda path: (len(path.name), path.name))
    rows = [run_row(folder) for folder in folders]
    _name_what_differs(sweep_folder, rows)
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
