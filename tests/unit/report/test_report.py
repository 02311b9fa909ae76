import csv

import numpy as np
from torch import nn

from nas_lightning.cost.exact import cost_of
from nas_lightning.files import plain, write_json
from nas_lightning.report.costs import CostReport
from nas_lightning.report.pictures import alpha_heatmap, confusion_picture
from nas_lightning.report.results import RunMetrics, SearchSummary, TrainingSummary
from nas_lightning.report.tables import write_sweep_table
from nas_lightning.space.cells.genotype import Genotype, Genotypes
from nas_lightning.space.cells.pictures import genotype_drawing

CELL = (("skip_connect", 0), ("conv_bn_relu_3x1", 1))


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_heatmap_prints_every_alpha_and_frames_what_is_kept():
    alphas = np.arange(9.0).reshape(3, 3) / 10
    space = Genotypes(["none", "skip_connect", "conv_bn_relu_3x1"], 2)
    kept = space.picks(Genotype(CELL, CELL))["normal"]
    figure = alpha_heatmap(alphas, space.decisions["normal"], kept, "normal cell")
    axes = figure.axes[0]
    assert texts(figure) == [f"{value:.3f}" for value in alphas.flat]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0 → 1", "0 → 2", "1 → 2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "skip_connect", "conv_bn_relu_3x1"]
    assert [patch.get_xy() for patch in axes.patches] == [(0.5, -0.5), (1.5, 1.5)]


def test_the_drawing_shows_nodes_and_operations_of_both_cells():
    figure = genotype_drawing(Genotype(CELL, CELL[::1]), fanout_concat=1)
    for axes in figure.axes:
        shown = [text.get_text() for text in axes.texts]
        assert {"input", "1", "2", "concat", "skip_connect", "conv_bn_relu_3x1"} <= set(shown)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["normal cell", "reduce cell"]


def test_the_confusion_picture_prints_counts():
    figure = confusion_picture(np.array([[3, 1], [0, 4]]), ["idle", "arc"], "test")
    assert texts(figure) == ["3", "1", "0", "4"]


def leave_result(folder, **sections):
    """What a run leaves that the table reads."""
    folder.mkdir()
    search = SearchSummary(strategy="darts", seconds=2.0, epochs=1, steps=1)
    write_json(folder / "metrics.json", plain(RunMetrics(preset="s", dataset="x", seed=3, search=search, **sections)))
    cost = cost_of(nn.Conv1d(1, 1, 9, bias=True), 1, 10)
    write_json(folder / "cost.json", plain(CostReport(**vars(cost))))


def test_the_sweep_table_lists_all_runs_and_why_one_has_no_result(tmp_path, capsys):
    for name, accuracy in (("0", 0.5), ("1", 0.75), ("10", 1.0)):
        training = TrainingSummary(seconds=1.0, epochs=1, best_epoch=1)
        leave_result(tmp_path / name, test={"accuracy": accuracy}, val={}, training=training)
    for name, value in (("0", 8), ("1", 16)):
        (tmp_path / name / "overrides.txt").write_text(f"seed={value}\ncallbacks=none\ntraining.batch_size={value}\n")
    (tmp_path / "10" / "overrides.txt").write_text("callbacks=none\n")
    leave_result(tmp_path / "2")
    (tmp_path / "2" / "overrides.txt").write_text("callbacks=none\n")
    (tmp_path / "2" / "error.txt").write_text("seed: found [x]|y\n")
    write_sweep_table(tmp_path)
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [(row["folder"], row["accuracy"]) for row in rows] == [
        ("0", "0.5"), ("1", "0.75"), ("2", ""), ("10", "1.0"),
    ]  # fmt: skip
    assert [row["error"] for row in rows] == ["", "", "seed: found [x]|y", ""]
    assert rows[0] | {"folder": ""} == {
        "preset": "s", "seed": "3", "accuracy": "0.5", "params": "10", "macs": "18", "seconds": "3.0", "folder": "",
        "settings": "training.batch_size=8", "error": "",
    }  # fmt: skip
    text = (tmp_path / "table.md").read_text()
    assert "| s | 3 | 0.75 | 10 | 18 | 3.0 | 1 | training.batch_size=16 |  |" in text
    assert r"|  |  |  |  |  |  | 2 |  | seed: found [x]\|y |" in text
    out = "".join(capsys.readouterr().out.split())
    assert "4runs" in out
    assert "[x]" in out  # no markup
