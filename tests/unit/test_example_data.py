"""The scripts that make the data of the examples."""

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("arc_fault", "wrist_exercises", "appliances")
RATE = 250_000

needs_seglearn = pytest.mark.skipif(importlib.util.find_spec("seglearn") is None, reason="needs the package seglearn")
needs_sktime = pytest.mark.skipif(importlib.util.find_spec("sktime") is None, reason="needs the package sktime")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a script in this process, which is faster; returns its exit status and what it wrote on stderr."""

    def run_script(name: str, *arguments: object) -> tuple[int, str]:
        script = str(EXAMPLES / name / "make_data.py")
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as leaving:
            return leaving.code, capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run_script


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"make_data_of_{name}", EXAMPLES / name / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def arc_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("arc") / "data"
    command = [
        sys.executable,
        EXAMPLES / "arc_fault" / "make_data.py",
        folder,
        "--recordings",
        "8",
        "--seconds",
        "0.05",
    ]
    subprocess.run(command, check=True)
    return folder


def power_in_band(current: np.ndarray) -> float:
    """The middle bin between 5 and 60 kHz, which is none of the inverter's lines, for a current of 1 A."""
    frames = current[: len(current) // 1024 * 1024].reshape(-1, 1024)
    power = (np.abs(np.fft.rfft(frames * np.hanning(1024))) ** 2).mean(axis=0)
    frequencies = np.fft.rfftfreq(1024, 1 / RATE)
    return np.median(power[(frequencies > 5e3) & (frequencies < 6e4)]) / current.mean() ** 2


def test_arc_files_have_the_layout(arc_folder):
    expected = {f"classes/{label}/recording{i:02d}.csv" for label in ("arc", "normal") for i in range(1, 9)}

    assert set(read_files(arc_folder)) == expected


def test_arc_columns_are_time_at_250_khz_and_a_current(arc_folder):
    table = pd.read_csv(arc_folder / "classes" / "arc" / "recording01.csv")

    assert list(table.columns) == ["time", "current"]
    assert len(table) == 0.05 * RATE
    np.testing.assert_allclose(np.diff(table["time"]), 1 / RATE, rtol=1e-6)
    assert table["current"].between(1, 15).all()


def test_arc_files_are_the_same_bytes_for_a_seed(run, tmp_path):
    for folder, seed in (("one", 0), ("two", 0), ("other", 1)):
        run("arc_fault", tmp_path / folder, "--recordings", 1, "--seconds", 0.01, "--seed", seed)
    one, two, other = (read_files(tmp_path / folder) for folder in ("one", "two", "other"))

    assert one == two
    assert len(one) == 2
    assert all(one[name] != other[name] for name in one)


def test_arc_recording_does_not_depend_on_how_many_there_are(run, arc_folder, tmp_path):
    run("arc_fault", tmp_path / "few", "--recordings", 1, "--seconds", 0.05)

    few, many = read_files(tmp_path / "few"), read_files(arc_folder)
    assert few == {name: many[name] for name in few}


def test_arc_files_have_more_power_in_the_band(arc_folder):
    level = {
        label: np.mean([np.log(power_in_band(pd.read_csv(path)["current"].to_numpy())) for path in paths])
        for label in ("arc", "normal")
        if (paths := sorted((arc_folder / "classes" / label).iterdir()))
    }

    assert level["arc"] > level["normal"] + np.log(2)


@pytest.mark.parametrize("plant", range(5))
def test_an_arc_adds_power_to_a_plant(plant):
    script = load_script("arc_fault")
    arc, normal = (script.make_recording(label, 12_288, np.random.default_rng(plant)) for label in ("arc", "normal"))

    assert power_in_band(arc) > 3 * power_in_band(normal)
    assert arc.mean() < normal.mean()


def test_arc_noise_falls_with_the_frequency():
    noise = load_script("arc_fault").coloured_noise(1 << 17, 1.0, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    bins = np.fft.rfftfreq(len(noise), 1 / RATE)
    low, high = (power[(bins > start) & (bins < 2 * start)].mean() for start in (5e3, 5e4))

    assert noise.std() == pytest.approx(1)
    assert low / high == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_script_runs_as_a_file_and_explains_itself(name):
    command = [sys.executable, EXAMPLES / name / "make_data.py", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "where to write; it must be new or empty" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_used_folder_is_refused_in_one_sentence(run, tmp_path, name):
    (tmp_path / "mine.txt").write_text("keep")

    status, message = run(name, tmp_path)

    assert status == 2
    assert message == f"{tmp_path} is there and is no empty folder; give the name of a new one\n"
    assert read_files(tmp_path) == {"mine.txt": b"keep"}


@pytest.mark.parametrize("name", NAMES)
def test_file_in_place_of_the_folder_is_refused(run, tmp_path, name):
    (tmp_path / "mine.txt").write_text("keep")

    assert run(name, tmp_path / "mine.txt")[0] == 2


@pytest.mark.parametrize("arguments", [("--recordings", 0), ("--seconds", 0.001), ("--seed", -1)])
def test_arc_arguments_out_of_range_are_refused(run, tmp_path, arguments):
    status, message = run("arc_fault", tmp_path / "data", *arguments)

    assert status == 2
    assert "at least 1 recording" in message
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("name", "package"), [("wrist_exercises", "seglearn"), ("appliances", "sktime")])
def test_missing_package_is_named_with_the_command(run, tmp_path, monkeypatch, name, package):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    message, _ = run(name, tmp_path / "data")

    assert re.search(rf"install it: pip install --no-deps {package}==[\d.]+$", message)
    assert not (tmp_path / "data").exists()


@needs_seglearn
def test_wrist_files_have_the_layout(run, tmp_path):
    assert run("wrist_exercises", tmp_path / "data") == (0, "")

    names = [path.relative_to(tmp_path / "data").as_posix() for path in sorted((tmp_path / "data").rglob("*.csv"))]
    parts = [re.fullmatch(r"classes/([A-Z]+)/subject(\d\d)_rec(\d{3})\.csv", name).groups() for name in names]
    classes, subjects, numbers = map(list, zip(*parts, strict=True))
    assert {label: classes.count(label) for label in classes} == dict.fromkeys(
        ("ABD", "ER", "FEL", "IR", "PEN", "ROW", "TRAP"), 20
    )
    assert {subject: subjects.count(subject) for subject in subjects} == {f"{i:02d}": 14 for i in range(1, 11)}
    assert sorted(numbers) == [f"{i:03d}" for i in range(140)]


@needs_seglearn
def test_few_wrist_files_are_spread_over_persons(run, tmp_path):
    assert run("wrist_exercises", tmp_path / "data", "--recordings-per-class", 3) == (0, "")

    files = sorted((tmp_path / "data" / "classes").glob("*/*.csv"))
    assert len(files) == 3 * 7
    assert {path.name[:9] for path in files} == {"subject01", "subject02", "subject03"}
    assert len({(path.parent.name, path.name[:9]) for path in files}) == len(files)


@needs_seglearn
def test_wrist_file_is_a_recording_of_the_package(run, tmp_path):
    run("wrist_exercises", tmp_path / "data", "--recordings-per-class", 1)

    path = next((tmp_path / "data" / "classes" / "PEN").iterdir())
    table = pd.read_csv(path)
    data = load_script("wrist_exercises").load_recordings()
    number = int(path.stem[-3:])
    assert list(table.columns) == ["time", "ax", "ay", "az", "wx", "wy", "wz"]
    assert data["y_labels"][data["y"][number]] == "PEN"
    np.testing.assert_allclose(table.to_numpy()[:, 1:], data["X"][number], atol=1e-6)
    np.testing.assert_allclose(np.diff(table["time"]), 0.02)


@needs_sktime
def test_appliance_files_are_copies(run, tmp_path):
    assert run("appliances", tmp_path / "data") == (0, "")

    copies = read_files(tmp_path / "data")
    assert sorted(copies) == ["PLAID_TEST.ts", "PLAID_TRAIN.ts"]
    for content in copies.values():
        lines = content.decode().splitlines()
        assert "@classLabel true 0 1 2 3 4 5 6 7 8 9 10" in lines
        assert len(lines) - lines.index("@data") - 1 == 537
