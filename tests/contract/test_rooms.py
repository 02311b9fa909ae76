"""Imports go one way."""

import ast
from pathlib import Path

import pytest

import nas_lightning

ROOT = Path(nas_lightning.__file__).parent
BASE = {"errors", "files"}
MAY_IMPORT = {
    "kernels": BASE,
    "space": BASE | {"kernels"},
    "cost": BASE | {"space"},
    "data": BASE,
    "export": BASE | {"space", "data"},
    "report": BASE | {"space"},
    "training": BASE | {"space"},
    "search": BASE | {"kernels", "space", "cost"},
    "callbacks": BASE | {"space", "cost", "search", "report"},
    "config": BASE | {"kernels", "space", "cost", "search", "data", "training", "callbacks", "report", "export"},
    "errors": set(),
    "files": {"errors"},
    "verify": BASE | {"data", "export"},
    "run_folder": BASE | {"space", "data", "export"},
}
MAY_USE_HYDRA = {"__main__", "config"}
ROOMS = sorted({path.stem if path.is_file() else path.name for path in ROOT.iterdir() if path.name != "__pycache__"})


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


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in MAY_USE_HYDRA])
def test_hydra_stays_at_the_door(room):
    for file, module in imports(room):
        assert module.split(".")[0] not in {"hydra", "omegaconf"}, f"{file} imports {module}"


def test_every_room_is_listed():
    assert set(ROOMS) - {
        "__init__",
        "__main__",
        "pipeline",
        "stages",
        "searching",
        "contest",
        "deployment",
        "describing",
        "smallest",
        "front_ends",
        "runs",
        "claim",
        "inspection",
        "api",
        "conf",
    } == set(MAY_IMPORT)


def test_instantiate_is_called_in_one_file():
    users = [
        path.name
        for path in ROOT.rglob("*.py")
        if "hydra.utils" in path.read_text() and "import instantiate" in path.read_text()
    ]
    assert users == ["build.py"]
