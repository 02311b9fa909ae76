"""The container images: what can be said of them without building one."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).splitlines()
STEPS = [line.split(maxsplit=1) for line in LINES if line and not line.startswith("#")]
COPIED = [source for word, rest in STEPS if word == "COPY" for source in rest.split()[:-1]]
MAKEFILE = (ROOT / "Makefile").read_text()


def recipe(target):
    """The commands of a target of the Makefile."""
    return re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1].split("\n\t")


def test_what_is_copied_is_there_and_reaches_the_builder():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    for source in COPIED:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored
    assert not any(fnmatch(source, line) for source in COPIED for line in ignored[1:] if not line.startswith("!"))


def test_it_runs_the_demo_of_the_makefile_as_somebody_without_rights():
    words = [word for word, _ in STEPS]
    assert words[0] == "FROM"
    assert dict(STEPS)["FROM"] == "python:3.11-slim"
    command = " ".join(json.loads(dict(STEPS)["CMD"]))
    assert recipe("demo") == [f"\t$(BIN)/{command}\n"]
    user = dict(STEPS)["USER"]
    assert user not in ("root", "0")
    assert any(word == "RUN" and rest.startswith("useradd ") and rest.endswith(f" {user}") for word, rest in STEPS)
    assert words.index("USER") > max(number for number, word in enumerate(words) if word in ("RUN", "COPY"))


def test_only_tested_versions_are_installed():
    installs = [rest for word, rest in STEPS if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert all(" -c constraints.txt " in install for install in installs)


def test_what_is_copied_makes_a_wheel_with_all_that_the_package_has(tmp_path):
    for source in COPIED:
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "dist"),
        str(tmp_path),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "nas_lightning/__main__.py",
        "nas_lightning/conf/config.yaml",
        "hydra_plugins/nas_lightning_ray.py",
    } <= names
    assert {f"nas_lightning/schemas/{name}.schema.json" for name in ("metrics", "cost", "genotype", "input")} <= names


def test_the_development_container_makes_targets_of_the_makefile():
    content = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    targets = re.findall(r"make (\S+)", content["postCreateCommand"])
    assert targets == ["deps-firmware", ".venv/installed"]
    assert all(recipe(target) for target in targets)
