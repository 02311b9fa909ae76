"""The page of a run: from its files to one HTML text without anything from elsewhere."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from nas_lightning.report.history import Columns
from nas_lightning.report.page import classes, confidence, facts
from nas_lightning.report.page.advice import advice
from nas_lightning.report.page.files import RunFiles
from nas_lightning.report.page.pictures import (
    Line,
    control_picture,
    curves_picture,
    decisions_picture,
    signal_picture,
)
from nas_lightning.report.page.svg import as_markup, inline, style_of_page
from nas_lightning.tasks import Details

LONGEST = 60
"""Characters of a name that a reader of the page sees; there are data with names of thousands."""

FILES = (
    ("metrics.json", "all figures of this page, and more"),
    ("genotype.json", "the network that was found"),
    ("model.json", "the network: its blocks and its readout, or what was made by hand"),
    ("cost.json", "cost, layer by layer"),
    ("model.pt", "weights"),
    ("model.onnx", "the network for ONNX Runtime"),
    ("model_int8.onnx", "the same in 8-bit integers"),
    ("firmware", "C files for the device"),
    ("deploy.zip", "everything for a device in one archive"),
    ("input.json", "what the network eats"),
    ("annotations", "which recording is in which split"),
    ("history.json", "figures of every epoch"),
    ("front_ends.csv", "front ends that were compared"),
    ("tradeoff.csv", "networks of all rounds"),
    ("config.yaml", "all settings"),
    ("run.log", "what was said"),
    ("tensorboard", "curves and pictures"),
)


_NARROWER, _FLATTER = 0.9, 0.62
"""The drawing of a network was made for a screen of its own."""

_MOST_DECISIONS, _MOST_OPTIONS = 40, 16
"""What can be told apart in a picture."""

_LOAD = "import nas_lightning; print(nas_lightning.load({}).description.sentence())"

SHOWN_SAMPLES = 6
"""Mistakes that a reader sees at once."""


@dataclass(frozen=True)
class Sample:
    """A mistake as the page shows it."""

    picture: Markup
    label: str
    taken_for: str
    score: str
    recording: str


@dataclass(frozen=True)
class Weight:
    """An op weight: its value, how strong its colour is from 0 to 1, and whether the network keeps it."""

    value: float
    strength: float
    is_kept: bool


@dataclass(frozen=True)
class WeightTable:
    """The op weights of a table: its name, the options, and by row its name and weights."""

    name: str
    options: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Weight]]]


def environment() -> Environment:
    """The templates; every text is escaped."""
    folder = Path(__file__).parent / "templates"
    made = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    made.trim_blocks = made.lstrip_blocks = True
    made.filters |= {"short": short, "code": code}
    made.globals |= {"style": as_markup((folder / "style.css").read_text(encoding="utf-8"))}
    return made


def short(text: str, longest: int = LONGEST) -> Markup:
    """A name, cut where it is long; more of it stands in a hint.

    >>> short("walk")
    Markup('walk')
    """
    text = "".join(char if char.isprintable() else "?" for char in text)
    if len(text) <= longest:
        return escape(text)
    return Markup('<span title="{}">{}…</span>').format(text[:500], text[: longest - 1])


def code(text: str) -> Markup:
    """A sentence in which keys stand in backticks.

    >>> code("set `seed=1` & go")
    Markup('set <code>seed=1</code> &amp; go')
    """
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def run_page(files: RunFiles) -> str:
    """The page of a run."""
    split = files.metrics.tested
    details = files.metrics.details(split)
    content: dict[str, Any] = {
        "files": files,
        "metrics": files.metrics,
        "lead": facts.lead(files),
        "alarms": facts.alarms(files),
        "tiles": facts.tiles(files),
        "drawing": _drawing(files),
        "layers": files.cost.layers,
        "split": split,
        "details": details,
        "other": files.metrics.val_details if split == "test" else None,
        "bars": facts.bars(files),
        "device": facts.device_of(files),
        "measured": facts.measured(files),
        "figures": facts.figures_table(files),
        "search_curves": _curves(files, "search"),
        "training_curves": _curves(files, "training"),
        "decisions": _decisions(files),
        "weights": _weights(files),
        "frames": facts.frames(files),
        "control": _control(files),
        "samples": _samples(files),
        "num_shown": SHOWN_SAMPLES,
        "data": list(facts.data_rows(files)),
        "splits": facts.split_rows(files),
        "seconds": facts.seconds(files),
        "advice": advice(files),
        "listed": [row for row in FILES if row[0] in files.present or row[0] == "metrics.json"],
        "folder": shlex.quote(files.name),
        "load": f"python -c {shlex.quote(_LOAD.format(json.dumps(files.name)))}",
        **_of_classes(details),
        **_of_confidence(files),
    }
    return environment().get_template("run.html").render(content)


def _of_classes(details: Details | None) -> dict[str, Any]:
    if details is None:
        return {"class_rows": [], "matrix": [], "pairs": [], "wrong": []}
    return {
        "class_rows": classes.class_rows(details),
        "matrix": classes.matrix(details),
        "pairs": classes.confused_pairs(details),
        "wrong": classes.wrong_rows(details),
    }


def _of_confidence(files: RunFiles) -> dict[str, Any]:
    """Nothing for a run that has no such section."""
    found: dict[str, Any] = {"trust": None, "smoothing": None}
    if (scores := files.metrics.confidence) is not None:
        found["trust"] = {
            "sentences": confidence.confidence_sentences(scores),
            "calibration": confidence.calibration_rows(scores),
            "rejection": confidence.rejection_rows(scores),
        }
    if (together := files.metrics.postprocess) is not None:
        metric = str(files.setting("testing.metric", "accuracy"))
        found["smoothing"] = {
            "metric": facts.FIGURE_NAMES.get(metric, metric),
            "sentence": confidence.smoothing_sentence(together, metric),
            "tried": confidence.tried_rows(together, metric),
            "splits": confidence.smoothed_rows(together, metric),
        }
    return found


def _drawing(files: RunFiles) -> Markup | None:
    with style_of_page():
        figure = files.drawing() if files.drawing is not None else None
        if figure is None:
            return None
        width, height = figure.get_size_inches()
        figure.set_size_inches(_NARROWER * width, _FLATTER * height)
        return inline(figure, "network", "the cells of the network")


def _curves(files: RunFiles, stage: str) -> list[Markup]:
    """A picture of losses and one of accuracies of a level: the search, or the trainings."""
    fits = {name: columns for name, columns in files.history.items() if name.partition("_")[0] == stage}
    found = []
    for figure in ("loss", "accuracy"):
        lines = _lines(fits, stage, figure)
        if lines:
            best = files.metrics.training.best_epoch if stage == "training" and files.metrics.training else None
            with style_of_page():
                picture = curves_picture(lines, f"{stage}: {figure}", best)
                found.append(inline(picture, f"{stage}-{figure}", f"{figure} by epoch of the {stage}"))
    return found


def _lines(fits: dict[str, Columns], stage: str, figure: str) -> list[Line]:
    """The first fit in colours, and of the others what is on val, pale and behind it."""
    names = {"train": "train", "val": "val", "weights": "weights, on train", "alphas": "alphas, on val"}
    if stage == "search":
        names["val"] = "supernet, on val"
    first, *others = fits.values() if fits else ({},)
    others = [columns for columns in others if f"val_{figure}" in columns]
    lines = [
        Line(columns, f"val_{figure}", "" if number else "other seeds", is_pale=True)
        for number, columns in enumerate(others)
    ]
    return lines + [Line(first, f"{of}_{figure}", text) for of, text in names.items() if f"{of}_{figure}" in first]


def _decisions(files: RunFiles) -> Markup | None:
    """What each node would have kept, epoch by epoch."""
    rows: dict[str, list[str]] = {}
    for entry in files.genotypes:
        for table, nodes in entry.items():
            for place, node in enumerate(nodes if isinstance(nodes, list) else (), start=1):
                if isinstance(node, list) and node:
                    rows.setdefault(f"{table} {place}", []).append(str(node[0]))
    epochs, names = [entry["epoch"] + 1 for entry in files.genotypes], {name for row in rows.values() for name in row}
    is_whole = len(epochs) > 1 and all(len(row) == len(epochs) for row in rows.values())
    if not (is_whole and 0 < len(rows) <= _MOST_DECISIONS and len(names) <= _MOST_OPTIONS):
        return None
    with style_of_page():
        return inline(decisions_picture(rows, epochs), "decisions", "the operation of each node by epoch")


def _weights(files: RunFiles) -> list[WeightTable]:
    """The op weights at the end of the first search, by table."""
    found = []
    for name, table in files.decisions.items() if files.searches else ():
        weights = np.array(files.searches[0].op_weights.get(name, ()), dtype=float)
        if weights.shape != (len(table.rows), len(table.options)) or not np.isfinite(weights).all():
            continue
        least, most, kept = float(weights.min()), float(weights.max()), set(files.kept.get(name, ()))
        rows = [
            (
                edge,
                [Weight(value, (value - least) / ((most - least) or 1), (i, j) in kept) for j, value in enumerate(of)],
            )
            for i, (edge, of) in enumerate(zip(table.rows, weights.tolist(), strict=True))
        ]
        found.append(WeightTable(name, table.options, rows))
    return found


def _control(files: RunFiles) -> Markup | None:
    control = files.metrics.control
    if control is None:
        return None
    with style_of_page():
        references = [(reference.name, reference.value) for reference in control.references]
        figure = control_picture(control.found, control.random, references)
        return inline(figure, "control", "the value of the search's first choice among random networks")


def _samples(files: RunFiles) -> list[Sample]:
    """The mistakes that the network was most sure of, as pictures."""
    mistakes, found = files.mistakes, []
    if mistakes is None:
        return []
    with style_of_page():
        for number, values in enumerate(mistakes.values):
            picture = inline(signal_picture(values, mistakes.rows), f"mistake-{number}", "a sample, a line a channel")
            names = mistakes.labels[number], mistakes.taken_for[number]
            found.append(Sample(picture, *names, f"{100 * mistakes.scores[number]:.1f} %", mistakes.recordings[number]))
    return found
