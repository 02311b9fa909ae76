"""Imports go one way."""

import ast
import re
from pathlib import Path

import pytest

import nas_lightning

ROOT = Path(nas_lightning.__file__).parent
BASE = {"errors", "files", "progress"}
MAY_IMPORT = {
    "errors": set(),
    "files": {"errors"},
    "progress": set(),
    "graph": {"errors"},
    "kernels": BASE | {"graph"},
    "tasks": BASE,
    "cost": BASE | {"graph", "tasks"},
    "space": BASE | {"graph", "kernels", "cost", "tasks"},
    "data": BASE | {"tasks"},
    "config": BASE | {"space", "data"},
    "export": BASE | {"graph", "tasks", "space", "cost", "data"},
    "report": BASE | {"space", "cost", "tasks", "data", "export"},
    "schemas": {"files", "space", "export", "report"},
    "workers": BASE,
    "training": BASE | {"graph", "space", "tasks", "data", "workers"},
    "search": BASE | {"kernels", "space", "cost", "tasks", "data", "training"},
    "callbacks": BASE | {"space", "search", "report"},
    "runs": (
        BASE
        | {"kernels", "tasks", "space", "cost", "data", "config", "export", "report"}
        | {"training", "search", "callbacks", "workers"}
    ),
    "use": BASE | {"tasks"} | {"data", "config", "export", "runs"},
    "api": {"errors", "data", "config", "runs", "use"},
    "estimator": {"errors", "data", "config", "api"},
    "__main__": BASE | {"config", "export", "report", "runs", "use"},
    "__init__": (
        {"errors", "tasks", "cost", "space", "data", "training", "search", "callbacks", "runs", "use", "api"}
        | {"estimator"}
    ),
}
MAY_USE_HYDRA = {"__main__.py", "config", "runs/build.py", "runs/launching.py", "runs/sweep.py"}
ROOMS = sorted(
    {path.stem for path in ROOT.iterdir() if (path.is_dir() or path.suffix == ".py") and path.name != "__pycache__"}
)


def imports(room):
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").is_file() else sorted((ROOT / room).rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                yield file, node.module or ""
            elif isinstance(node, ast.Import):
                yield from ((file, alias.name) for alias in node.names)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room):
    for file, module in imports(room):
        if module.startswith("nas_lightning."):
            assert module.split(".")[1] in MAY_IMPORT[room] | {room}, f"{file} imports {module}"


def test_cells_are_known_in_their_own_room_only():
    """What searches, trains, deploys or reports knows decisions and architectures, and not kinds of cell."""
    words = re.compile(r"\bKINDS\b|\.normal\b|\.reduce\b(?!\()|[\"'](normal|reduce)[\"']|\.genotype\.cell\b")
    ours = [path for path in ROOT.rglob("*.py") if ROOT / "space" / "cells" not in path.parents]
    found = {str(path.relative_to(ROOT)): words.findall(path.read_text()) for path in ours}
    assert not {name: where for name, where in found.items() if where}


def test_hydra_stays_at_the_door():
    allowed = [ROOT / place for place in MAY_USE_HYDRA]
    for room in ROOMS:
        for file, module in imports(room):
            if module.split(".")[0] in {"hydra", "omegaconf"}:
                assert any(place in (file, *file.parents) for place in allowed), f"{file} imports {module}"


def test_every_room_is_listed_below_those_that_may_import_it():
    names = list(MAY_IMPORT)
    assert set(names) == set(ROOMS) - {"conf"}
    assert all(names.index(other) < names.index(room) for room in names for other in MAY_IMPORT[room])


def test_instantiate_is_called_in_one_file():
    users = [path.name for path in ROOT.rglob("*.py") if re.search(r"import .*\binstantiate\b", path.read_text())]
    assert users == ["build.py"]
