"""The summary at the end of a run: what was gained stands first, and the control behind it."""

from dataclasses import replace

import pytest

from nas_lightning.cost.exact import cost_of
from nas_lightning.report.card import _moved
from nas_lightning.report.costs import CostReport, LimitReport
from nas_lightning.report.results import (
    Alignment,
    Confidence,
    Control,
    Postprocess,
    Reference,
    RunMetrics,
    RunResult,
    SearchSummary,
)
from nas_lightning.report.tables import print_summary
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.tasks import Classification
from nas_lightning.tasks.confidence import Rejection, Share
from nas_lightning.tasks.smoothing import Smoothed

BLUEPRINT = ReferenceBlueprint((4,), 3, Classification(1, 8, 2))
COST = CostReport(**vars(cost_of(BLUEPRINT.build(), 1, 8)))
CONTROL = Control(
    rank=2, mean=0.5, interval=(0.4, 0.6), verdict="undecided", metric="accuracy", epochs=7, found=0.5,
    random=(0.55, 0.45), references=(Reference(name="cnn_s", params=1234, value=0.25),), kept="found", seconds=1.0,
    sentence="nobody can tell",
)  # fmt: skip
FIGURES = {"accuracy": 0.875, "macro_f1": 0.8125}
METRICS = RunMetrics(preset="s", dataset=None, seed=0, control=CONTROL, test=FIGURES, val=FIGURES, test_int8=FIGURES)


@pytest.fixture
def rows(capsys, tmp_path, monkeypatch):
    """The title and the rows of a summary, each a name and its text."""
    monkeypatch.setenv("COLUMNS", "300")

    def print_rows(metrics=METRICS, cost=COST):
        print_summary(RunResult(tmp_path, metrics, cost), BLUEPRINT)
        title, _, table = capsys.readouterr().out.partition("┌")  # a long title is broken at the width of the table
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]
        return " ".join(title.split()), dict(cells)

    return print_rows


def test_what_was_gained_stands_first_and_the_control_below_it(rows):
    budget = {"params": LimitReport(limit=400, value=100, holds=True)}
    title, found = rows(cost=replace(COST, device="none", budget=budget))
    assert title == "nas_lightning"
    gains = ["fits", "test accuracy", "val accuracy", "hand-made cnn_s"]
    assert list(found) == [*gains, "cost", "control", "hand-made", "seconds", "files"]
    assert found["fits"] == "the budget: 100 of 400 parameters (25%)"
    assert found["test accuracy"] == f"0.8750   macro F1 0.8125   int8 0.8750   {COST.params} parameters"
    assert found["val accuracy"] == "0.8750   macro F1 0.8125"
    assert found["control"] == "nobody can tell"


def test_a_search_that_lost_says_so_first(rows):
    lost = replace(CONTROL, verdict="lost", sentence="the search lost")
    title, found = rows(replace(METRICS, control=lost))
    assert (title, next(iter(found)), found["control"]) == ("the search lost", "test accuracy", "the search lost")


def test_the_chip_is_named_with_the_share_of_each_memory(rows):
    budget = {
        "flash_bytes": LimitReport(limit=65536, value=7864, holds=True),
        "ram_bytes": LimitReport(limit=16384, value=4096, holds=True),
    }
    _, found = rows(cost=replace(COST, device="MSPM0G3507", budget=budget))
    assert found["fits"] == (
        "the budget of MSPM0G3507: 7,864 of 65,536 bytes of flash (12%), 4,096 of 16,384 bytes of RAM (25%)"
    )
    budget["ram_bytes"] = LimitReport(limit=16384, value=20480, holds=False)
    assert rows(cost=replace(COST, budget=budget))[1]["exceeds"].endswith("20,480 of 16,384 bytes of RAM (125%)")


def test_a_searched_network_that_leaves_half_of_the_chip_says_what_uses_more(rows):
    """The largest share counts: 40 of 100 are 40 %."""
    search = SearchSummary(strategy="darts", seconds=1.0, epochs=1, steps=1)

    def used(preset, value):
        budget = {"params": LimitReport(limit=100, value=value, holds=True)}
        budget["macs"] = LimitReport(limit=1000, value=10, holds=True)
        return rows(replace(METRICS, search=search, preset=preset), replace(COST, device="chip", budget=budget))[1]

    assert used("s", 40)["uses"].startswith("40% of the budget of chip at most: nas_model_size=auto ")
    assert "uses" not in used("s", 50)
    assert "uses" not in used("auto", 40)
    budget = {"params": LimitReport(limit=100, value=40, holds=True)}
    assert "uses" not in rows(cost=replace(COST, budget=budget))[1]  # nothing was searched


def test_without_a_test_split_the_size_stands_beside_val(rows):
    _, found = rows(replace(METRICS, test=None, test_int8=None, control=None))
    assert list(found) == ["val accuracy", "cost", "hand-made", "seconds", "files"]
    assert found["val accuracy"].endswith(f" {COST.params} parameters")


def rejecting(threshold, **accepted):
    """Metrics of a decision with so many accepted ones of 80 windows, by split."""
    found = {
        split: Rejection(coverage=Share.of(count, 80), accuracy=Share.of(0, count), unknown_accepted=None)
        for split, count in accepted.items()
    }
    confidence = Confidence(temperature=1.0, threshold=threshold, calibration_error={}, rejection=found)
    return replace(METRICS, confidence=confidence)


def test_a_decision_that_rejects_everything_says_so_first_with_the_reason_and_what_helps(rows):
    title, found = rows(rejecting(1.0000001, test=0, val=2))
    assert title.startswith(
        "the decision rejects 100.0% of the 80 windows of test, 97.5% of the 80 windows of val: "
        "windows of no class on val have a score of 1"
    )
    assert "reject.false_accept" in title
    assert "dataset.unknown" in title
    assert next(iter(found)) == "test accuracy"


@pytest.mark.parametrize(("accepted", "is_alarm"), [(0, True), (4, True), (5, False), (80, False)])
def test_nearly_everything_is_95_of_100_windows(rows, accepted, is_alarm):
    """4 of 80 are 5 %; a threshold that scores can reach has another reason."""
    title, _ = rows(rejecting(0.75, test=80, val=accepted))
    assert ("rejects" in title) == is_alarm
    assert ("the threshold is 0.7500" in title) == is_alarm


def test_an_alarm_of_int8_alone_names_it_and_a_lost_search_comes_after_it(rows):
    lost = replace(CONTROL, verdict="lost", sentence="the search lost")
    title, _ = rows(replace(rejecting(0.5, test=80, val=80, test_int8=1), control=lost))
    assert "98.8% of the 80 windows of test (int8)" in title
    assert "windows of val" not in title
    assert title.endswith("the search lost")


def test_windows_that_decide_alone_are_no_verdict(rows):
    alone = Smoothed(
        method="none", windows=1, by_window={"accuracy": 0.25}, by_recording={"accuracy": 0.5}, delay_windows=None,
        never_right=0, recordings=4,
    )  # fmt: skip
    section = Postprocess(method="none", windows=1, tried=(alone,), splits={"test": alone})
    _, found = rows(replace(METRICS, postprocess=section))
    assert found["smoothed test"] == "no smoothing is best on val: accuracy 0.2500, of recordings 0.5000"


@pytest.mark.parametrize(("clear", "verdict"), [(True, "clearly worse"), (False, "no clear difference")])
def test_windows_that_begin_elsewhere_are_told_of_where_it_matters(rows, clear, verdict):
    found = replace(METRICS, alignment=Alignment(steps=12, metric="accuracy", value=0.9, moved=0.75, clear=clear))
    _, lines = rows(found)
    assert lines.get("windows on val") == (
        "accuracy 0.7500 instead of 0.9000 if they begin 12 steps earlier or later" if clear else None
    )
    assert _moved(found).endswith(f"the accuracy is 0.7500 instead of 0.9000, which is {verdict}.")
    assert _moved(METRICS) == "How the network answers to a window that begins elsewhere was not measured."
