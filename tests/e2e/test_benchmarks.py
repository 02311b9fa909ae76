"""The benchmark scripts run, and print what the pages of docs/notebook say they print."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
NOTEBOOK = [*(ROOT / "docs" / "notebook").glob("*.md")]
PAGES = "\n".join(page.read_text() for page in NOTEBOOK)


def start(script, *arguments):
    call = [sys.executable, str(FOLDER / script), *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False)


def rows(script, *arguments):
    done = start(script, *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("script", sorted(path.name for path in FOLDER.glob("*.py")))
def test_every_script_is_on_a_page_with_options_that_it_has(script):
    commands = re.findall(rf"^    python benchmarks/{script}(.*)$", PAGES, re.MULTILINE)
    assert commands
    for option in re.findall(r"--[a-z-]+", " ".join(commands)):
        assert f'"{option}"' in (FOLDER / script).read_text()


def test_every_page_has_a_question_an_answer_a_way_to_measure_and_a_place_in_the_list():
    index = FOLDER.parent / "docs" / "notebook" / "index.md"
    for page in NOTEBOOK:
        if page == index:
            continue
        title, empty, answer, *rest = page.read_text().splitlines()
        assert re.fullmatch(r"# .+\?", title)
        assert (empty, answer[:2]) == ("", "**")
        assert any(line.startswith("    ") or re.search(r"\(\w+\.md\) says how", line) for line in rest)
        assert f"| {title[2:]} | [{page.name}]({page.name}) |" in index.read_text()


@pytest.mark.slow
def test_a_step_is_measured_on_both_sides():
    shape = ["--batch", "32", "--length", "64", "--repeats", "2", "--threads", "1"]
    (row,) = rows("supernet_step.py", "--sizes", "s", *shape)
    keys = {"textbook_ms", "fast_ms", "ratio", "peak_mib_textbook", "peak_mib_fast", "threads", "device"}
    assert keys <= row.keys()
    assert (row["size"], row["order"], row["threads"]) == ("s", "first", 1)
    assert row["textbook_ms"] > row["fast_ms"] > 0
    assert row["peak_mib_textbook"] > row["peak_mib_fast"]


@pytest.mark.parametrize("side", ["fast", "textbook", "textbook_1d"])
@pytest.mark.parametrize("order", ["first", "unrolled"])
def test_a_step_is_a_callable_that_moves_alphas_and_weights(order, side, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    build_step = importlib.import_module("supernet_step").build_step
    step = build_step("s", order, 4, 32, 2, post_reduction_stride=2, side=side)
    supernet = next(cell.cell_contents for cell in step.__closure__ if hasattr(cell.cell_contents, "alphas"))
    before = {name: parameter.detach().clone() for name, parameter in supernet.named_parameters()}
    assert step() is None
    after = dict(supernet.named_parameters())
    for name in ("alphas.normal", "alphas.reduce", "head.weight"):
        assert not (before[name] == after[name]).all(), name


@pytest.mark.slow
def test_the_time_table_of_a_job_adds_up(tmp_path, arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    short = ["--nas-epochs", "2", "--training-epochs", "2", "--batch", "8", "--size", "s", "--threads", "1"]
    found = {row["part"]: row for row in rows("whole_job.py", "--data", str(tmp_path / "data.npz"), *short)}
    parts = [found[part]["seconds"] for part in ("start_up", "search", "control", "training", "test_and_export")]
    assert all(value > 0 for value in parts)
    assert sum(parts) == pytest.approx(found["total"]["seconds"], abs=0.1)
    shares = [row["share_of_search"] for part, row in found.items() if part.startswith("search.")]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert found["result"]["steps"] == 8


@pytest.mark.slow
def test_a_budget_is_measured_with_and_without_a_limit(write_npz):
    short = ["--set", "training.nas_epochs=1", "training.training_epochs=1"]
    data = ["--data", str(write_npz()), "--processes", "1"]
    (row,) = rows("budgets.py", *data, "--limits", "300", *short)
    assert row["params"] <= row["limit"] == 300
    assert row["share"] == pytest.approx(row["params"] / 300, abs=1e-3)
    assert row["free_share"] > 0
    assert row["lost"] >= 0
    modes = rows("budgets.py", *data, "--modes", *short)
    assert [row["mode"] for row in modes] == ["Memory", "Compute"]
    assert all(0 <= row["test_accuracy"] <= 1 for row in modes)


def test_the_projection_is_measured():
    (row,) = rows("projection.py", "--sizes", "s", "--length", "32", "--projections", "2")
    assert row["size"] == "s"
    assert row["tables_ms"] > 0
    assert 0 < row["project_ms"] <= row["project_ms_high"]


@pytest.mark.slow
def test_a_study_runs_what_is_missing_and_is_reported(write_npz, tmp_path):
    lines = tmp_path / "rows.jsonl"
    study = ["--data", str(write_npz().parent), "--rows", str(lines), "--presets", "s", "--processes", "1"]
    study += ["--steps", "4", "--search-steps", "4", "--test", "12", "--batch", "8"]
    found = rows("quality.py", *study, "--seeds", "2", "--sides", "default:selection.candidates=2")
    assert [(row["set"], row["side"], row["seed"]) for row in found] == [
        ("data", "default:selection.candidates=2", 0), ("data", "default:selection.candidates=2", 1)
    ]  # fmt: skip
    more = rows("quality.py", *study, "--seeds", "1", "--sides", "default", "random", "cnn_s", "fixed")
    assert [row["side"] for row in more] == ["default", "cnn_s", "fixed", "random"]
    assert rows("quality.py", *study, "--seeds", "1", "--sides", "default", "random", "cnn_s", "fixed") == []
    default, reference, fixed, random = more
    seconds = default["seconds"]
    assert (default["candidates"], fixed["candidates"], reference["params"] > 0) == (4, 1, True)
    assert random["candidates"] == round(4 * (seconds["search"] + seconds["training"]) / seconds["training"])
    assert all(row["accuracy"] * 12 == pytest.approx(round(row["accuracy"] * 12)) for row in more)
    report = rows("quality_report.py", str(lines), "--picture", str(tmp_path / "ranks.svg"), "--preset", "s")
    means = {row["side"]: row["accuracy"] for row in report if row.get("preset") == "s" and "side" in row}
    assert means["random"] == round(random["accuracy"], 4)
    assert (tmp_path / "ranks.svg").read_text().startswith("<?xml")
    refused = start("quality.py", *study, "--batch", "9")
    assert (refused.returncode, "rows.jsonl has rows of {'train': 0, " in refused.stderr) == (1, True)
    np.savez(write_npz().with_name("bad.npz"), X=np.zeros(3))
    broken = start("quality.py", *study, "--seeds", "2", "--sides", "fixed", "--sets", "bad", "data")
    (row,) = map(json.loads, broken.stdout.splitlines())
    assert (row["set"], row["side"], row["seed"]) == ("data", "fixed", 1)
    assert (broken.returncode, broken.stderr.count("('bad', 'fixed', 's', ")) == (1, 2)


@pytest.mark.slow
def test_genotypes_are_compared_with_draws(write_npz, tmp_path):
    lines = ["--rows", str(tmp_path / "rows.jsonl")]
    few = ["--genotypes", "2", "--steps", "8", "--batch", "8", "--sets", "data", "--preset", "s"]
    for seeds in (1, 2):  # those of the first call are not run again
        (line,) = rows("variance.py", "--data", str(write_npz().parent), *lines, *few, "--seeds", str(seeds))
        assert (line["rows"], line["set"]) == (2 * seeds, "data")
    assert rows("variance.py", *lines, "--report") == [line]
    refused = start("variance.py", *lines, *few, "--steps", "9")
    assert (refused.returncode, "rows.jsonl has rows of {'train': 1500, " in refused.stderr) == (1, True)


def test_sides_are_compared_where_both_have_been_run(monkeypatch):
    """On set x in seeds 0 and 1, on y in seed 0; what one side has alone does not count."""
    monkeypatch.syspath_prepend(FOLDER)
    report = importlib.import_module("quality_report")
    values = {
        "a": {("x", 0): 0.5, ("x", 1): 0.7, ("y", 0): 0.9, ("z", 0): 1.0},
        "b": {("x", 0): 0.4, ("x", 1): 0.4, ("y", 0): 0.95, ("y", 1): 0.0},
        "c": {("y", 0): 0.8},
    }
    assert report.means_of(values, ["a", "b"]) == {
        "a": pytest.approx({"x": 0.6, "y": 0.9}),
        "b": pytest.approx({"x": 0.4, "y": 0.95}),
    }
    line = report.compare(values, "a", "b")
    assert (line["sets"], line["higher"], line["difference"]) == (2, 1, 0.075)
    assert report.average_ranks(values) == ({"a": 2.0, "b": 1.0, "c": 3.0}, 1)


def test_deviations_between_and_within_groups_by_hand(monkeypatch):
    """Means 2 and 6, so variance 8 of means, of which 2 / 2 is that of two draws; within the groups it is 2."""
    monkeypatch.syspath_prepend(FOLDER)
    components = importlib.import_module("variance").components
    assert components({0: [1.0, 3.0], 1: [5.0, 7.0]}) == pytest.approx((7**0.5, 2**0.5))
    assert components({0: [1.0, 3.0], 1: [3.0, 1.0]}) == pytest.approx((0, 2**0.5))


def test_the_critical_difference_is_that_of_the_paper(monkeypatch):
    """Demsar 2006, table 5 and section 3.2.4: q is 2.569 for 4 classifiers; over 14 sets the difference is 1.25."""
    monkeypatch.syspath_prepend(FOLDER)
    critical_difference = importlib.import_module("quality_report").critical_difference
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(2, 24) == pytest.approx(1.960 * (6 / 144) ** 0.5, abs=1e-3)
