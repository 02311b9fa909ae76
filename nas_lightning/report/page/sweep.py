"""The page of a sweep: its runs in a table, by cost and figure, and by what was set for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from nas_lightning.files import OVERRIDES
from nas_lightning.report.page.files import PAGE
from nas_lightning.report.page.pictures import parallel_picture, points_picture
from nas_lightning.report.page.render import environment
from nas_lightning.report.page.svg import inline, style_of_page
from nas_lightning.report.tables import COLUMNS, Row

_MOST_RUNS = 200
_MOST_KEYS = 6
_MOST_NAMED = 12
_NUMBERS = ("accuracy", "params", "macs", "seconds")


@dataclass(frozen=True)
class RunRow:
    """A run: the cells of its row, the page of it if there is one, and whether no other beats it in cost and figure."""

    cells: tuple[str, ...]
    link: str
    is_best: bool


def sweep_page(folder: Path, rows: Sequence[Row]) -> str:
    """The page of a sweep.

    Args:
        folder: of the sweep.
        rows: a row a run.
    """
    rows = rows[:_MOST_RUNS]
    ended = [row for row in rows if not row["error"] and row["accuracy"] != ""]
    front = _front(ended)
    shown = [column for column in COLUMNS if any(row[column] != "" for row in rows)]
    content = {
        "name": folder.resolve().name,
        "rows": [_run_row(folder, row, shown, row in front) for row in rows],
        "columns": shown,
        "num_ended": len(ended),
        "best": max(ended, key=lambda row: float(row["accuracy"]), default=None),
        "points": _points(ended, front),
        "parallel": _parallel(folder, ended),
        "numbers": _NUMBERS,
    }
    return environment().get_template("sweep.html").render(content)


def _run_row(folder: Path, row: Row, columns: Sequence[str], is_best: bool) -> RunRow:
    cells = tuple(f"{row[column]:,}" if isinstance(row[column], int) else str(row[column]) for column in columns)
    name = str(row["folder"])
    link = f"{quote(name)}/{PAGE}" if (folder / name / PAGE).is_file() else ""
    return RunRow(cells, link, is_best)


def _front(rows: Sequence[Row]) -> list[Row]:
    """The runs that no other beats: none is as accurate with fewer parameters; in the order of these."""
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (float(row["params"]), -float(row["accuracy"]))):
        if not found or float(row["accuracy"]) > float(found[-1]["accuracy"]):
            found.append(row)
    return found


def _points(rows: Sequence[Row], front: Sequence[Row]) -> Markup | None:
    if not rows:
        return None
    named = rows if len(rows) <= _MOST_NAMED else front
    points = [
        (float(row["params"]), float(row["accuracy"]), str(row["folder"]) if row in named else "") for row in rows
    ]
    ends = [(float(row["params"]), float(row["accuracy"])) for row in front]
    with style_of_page():
        figure = points_picture(points, ends, ("parameters", "accuracy"))
        return inline(figure, "front", "accuracy of each run by its parameters")


def _parallel(folder: Path, rows: Sequence[Row]) -> Markup | None:
    """What was set, as far as it differs, beside what came of it; nothing for a single run."""
    settings = [_settings(folder / str(row["folder"])) for row in rows]
    keys = list(dict.fromkeys(key for each in settings for key in each))
    differing = [key for key in keys if len({each.get(key, "") for each in settings}) > 1][:_MOST_KEYS]
    if len(rows) < 2 or not differing:
        return None
    columns = [(key, _values([each.get(key, "") for each in settings])) for key in differing]
    columns += [(name, [float(row[name]) for row in rows]) for name in ("params", "accuracy")]
    best = columns[-1][1]
    low, high = min(map(float, best)), max(map(float, best))
    shade = [(float(value) - low) / (high - low) if high > low else 0.5 for value in best]
    with style_of_page():
        return inline(parallel_picture(columns, shade), "parallel", "settings and figures of each run, a line a run")


def _settings(folder: Path) -> dict[str, str]:
    """What was set for a run, by key."""
    path = folder / OVERRIDES
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return {key.lstrip("+"): value for key, found, value in (line.partition("=") for line in lines) if found}


def _values(texts: Sequence[str]) -> list[float | str]:
    """Numbers if all are, else the words."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        return list(texts)
