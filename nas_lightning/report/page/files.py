"""The folder of a run as its page sees it: each file that is there as a record, and None for what is missing."""

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from matplotlib.figure import Figure

from nas_lightning.data.annotations import FOLDER
from nas_lightning.errors import InputError, brief
from nas_lightning.export.contract import InputDescription
from nas_lightning.files import damage, read_as, read_json, read_record, read_yaml
from nas_lightning.report.costs import CostReport
from nas_lightning.report.history import FILE as HISTORY
from nas_lightning.report.history import Columns, read_history
from nas_lightning.report.mistakes import FILE as MISTAKES
from nas_lightning.report.mistakes import Mistakes, read_mistakes
from nas_lightning.report.results import RunMetrics
from nas_lightning.space.base import Decisions
from nas_lightning.space.blueprint import READERS
from nas_lightning.space.cells.blueprint import CellBlueprint
from nas_lightning.space.cells.genotype import Genotypes
from nas_lightning.space.ops import OPS

T = TypeVar("T")

PAGE = "report.html"
"""The file that the page is written into."""

_MOST_WARNINGS = 40
_MOST_LOG_BYTES = 4 << 20
_MOST_ROWS = 50
_WARNING = re.compile(r"^\d{4}-\d\d-\d\d [\d:,.]+ WARNING (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class SplitReport:
    """What ``annotations/report.json`` says of a split."""

    recordings: int
    rows: int
    classes: dict[str, int]
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """What the page wants of a search in ``searches.json``."""

    seed: int
    genotypes: tuple[Any, ...]
    op_weights: dict[str, tuple[tuple[float, ...], ...]]


@dataclass(frozen=True)
class RunFiles:
    """The files of a run.

    Attributes:
        name: of the folder.
        metrics: ``metrics.json``.
        cost: ``cost.json``.
        settings: ``config.yaml``, whatever is in it.
        summary: what the network is, in names and words.
        drawing: makes the drawing of the network that was kept; None for one that cannot be drawn.
        decisions: the tables of its space by name.
        kept: rows and columns of what it keeps of them.
        genotypes: those of each epoch of the first search.
        searches: ``searches.json``.
        history: ``history.json``.
        mistakes: ``mistakes.npz``.
        description: ``input.json``.
        splits: what is in each split.
        warnings: those of ``run.log``, each once.
        compared: rows of ``front_ends.csv`` or ``tradeoff.csv``.
        present: names of the files that there are.
    """

    name: str
    metrics: RunMetrics
    cost: CostReport
    settings: Mapping[str, Any]
    summary: tuple[tuple[str, str], ...]
    drawing: Callable[[], Figure | None] | None
    decisions: Mapping[str, Decisions]
    kept: Mapping[str, tuple[tuple[int, int], ...]]
    genotypes: tuple[dict[str, Any], ...]
    searches: tuple[Search, ...]
    history: Mapping[str, Columns]
    mistakes: Mistakes | None
    description: InputDescription | None
    splits: Mapping[str, SplitReport]
    warnings: tuple[str, ...]
    compared: tuple[dict[str, str], ...]
    present: frozenset[str]

    def setting(self, key: str, default: Any = None) -> Any:
        """The value of a key such as ``training.nas_enabled``; the default where an older version had none."""
        found: Any = self.settings
        for part in key.split("."):
            if not isinstance(found, Mapping) or part not in found:
                return default
            found = found[part]
        return found


def read_run(folder: Path, metrics: RunMetrics | None = None) -> RunFiles:
    """Read a run folder.

    Args:
        folder: of a run that ended with a training.
        metrics: where ``metrics.json`` is not written yet.

    Raises:
        InputError: if it is no such folder, or a file of it is damaged.
    """
    if metrics is None and not (folder / "metrics.json").is_file():
        raise InputError(f"{folder}: has no metrics.json; give the folder of a run that ended, or of a sweep")
    metrics = metrics or read_record(folder / "metrics.json", RunMetrics)
    if metrics.training is None or metrics.val is None:
        raise InputError(f"{folder}: is the folder of a run without a training; a page is made of a trained network")
    settings: dict[Any, Any] = _if_there(folder / "config.yaml", read_yaml, {})
    blueprint = _if_there(folder / CellBlueprint.file, lambda path: read_as(path, READERS[path.name]), None)
    decisions, kept = _decisions(blueprint, settings)
    report = folder / FOLDER / "report.json"
    return RunFiles(
        name=folder.resolve().name,
        metrics=metrics,
        cost=read_record(folder / "cost.json", CostReport),
        settings=settings,
        summary=tuple(blueprint.summary()) if blueprint else (),
        drawing=blueprint.picture if isinstance(blueprint, CellBlueprint) else None,
        decisions=decisions,
        kept=kept,
        genotypes=_if_there(folder / "genotype_history.json", _genotypes, ()),
        searches=_if_there(folder / "searches.json", _searches, ()),
        history=_if_there(folder / HISTORY, read_history, {}),
        mistakes=_if_there(folder / MISTAKES, read_mistakes, None),
        description=_if_there(folder / "input.json", lambda path: read_as(path, InputDescription.from_dict), None),
        splits=_if_there(report, lambda path: read_as(path, _splits), {}),
        warnings=_if_there(folder / "run.log", _warnings, ()),
        compared=_if_there(folder / "front_ends.csv", _rows, ()) or _if_there(folder / "tradeoff.csv", _rows, ()),
        present=frozenset(path.name for path in folder.iterdir()),
    )


def _if_there(path: Path, read: Callable[[Path], T], otherwise: T) -> T:
    return read(path) if path.is_file() else otherwise


def _decisions(blueprint: Any, settings: Mapping[str, Any]) -> tuple[Mapping[str, Decisions], Mapping[str, Any]]:
    """The tables of the space of a network of cells, and what it keeps of them; nothing where they are not known."""
    section = settings.get("space")
    ops = section.get("ops") if isinstance(section, Mapping) else None
    if not isinstance(blueprint, CellBlueprint) or not isinstance(ops, list) or not all(op in OPS for op in ops):
        return {}, {}
    space = Genotypes(ops, blueprint.genotype.num_nodes)
    try:
        return space.decisions, space.picks(blueprint.genotype)
    except ValueError:  # another configuration than that of the network
        return {}, {}


def _genotypes(path: Path) -> tuple[dict[str, Any], ...]:
    entries = read_json(path, list)
    return tuple(entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("epoch"), int))


def _searches(path: Path) -> tuple[Search, ...]:
    return read_as(path, lambda content: msgspec.convert(content, tuple[Search, ...]), list)


def _splits(content: object) -> dict[str, SplitReport]:
    return msgspec.convert(content, dict[str, SplitReport])


def _warnings(path: Path) -> tuple[str, ...]:
    """Each warning of a log once, without its time."""
    with path.open("rb") as file:
        text = file.read(_MOST_LOG_BYTES).decode(errors="replace")
    found = dict.fromkeys(brief(line) for line in _WARNING.findall(text))
    return tuple(found)[:_MOST_WARNINGS]


def _rows(path: Path) -> tuple[dict[str, str], ...]:
    with damage(path), path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row, _ in zip(csv.DictReader(file), range(_MOST_ROWS), strict=False)]
    return tuple({str(name): brief(value or "") for name, value in row.items() if name} for row in rows)
