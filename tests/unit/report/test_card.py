"""What a model card says, from the records of a run; the cards of real runs are in tests/e2e/test_papers.py."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from scipy.stats import binomtest

from nas_lightning.export.contract import InputDescription
from nas_lightning.report.card import Card, SplitReport
from nas_lightning.report.costs import CostReport
from nas_lightning.report.results import Confidence, Postprocess, RunMetrics
from nas_lightning.tasks import Classes
from nas_lightning.tasks.confidence import CalibrationError, Rejection, Share
from nas_lightning.tasks.details import details_of

FIGURES = {"accuracy": 0.75, "balanced_accuracy": 0.5, "macro_f1": 0.25, "loss": 1.5}
ABOUT = InputDescription(
    "0.1.0", "abc", Classes(("a|b", "<img>")), shape=(2, 8), channels=("x", "y"), window=8, stride=4,
    sampling_rate=50.0, offsets=(0.0, 2.5), least=(-1.0, 0.0), most=(1.0, 4.0),
)  # fmt: skip
COST = CostReport(
    params=10, macs=20, flash_bytes=30, instructions=40, ram_bytes=50, layers=(), weight_bits=8, activation_bits=8,
    core="cortex-m4",
)  # fmt: skip
METRICS = RunMetrics(preset="s", dataset="/home/somebody/data/wrist.npz", seed=3, val=FIGURES, test=FIGURES)


def split(recordings=30, rows=720, groups=None, rule="amongst_files"):
    return SplitReport(recordings=recordings, rows=rows, classes={"a|b": 1, "<img>": 2}, groups=groups, rule=rule)


def card(metrics=METRICS, cost=COST, about=ABOUT, **splits):
    return Card(metrics=metrics, cost=cost, description=about, splits=splits)


def head(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_the_folder_of_the_data_is_not_named():
    text = card(train=split(), test=split()).text()
    assert "somebody" not in text
    assert head(text)["model-index"][0]["results"][0]["dataset"]["name"] == "wrist.npz"
    assert "own data" in card(replace(METRICS, dataset=None)).text()


def test_names_of_the_data_have_no_meaning_for_the_page():
    text = card(replace(METRICS, dataset="x: [y]\n---\n# z"), train=split(), test=split()).text()
    assert "<img>" not in text
    assert "a\\|b 1, &lt;img&gt; 2" in text
    assert head(text)["model-index"][0]["name"] == "x: [y] --- # z-s-abc"


def test_without_a_test_the_figures_are_those_of_val():
    text = card(replace(METRICS, test=None, val=FIGURES | {"accuracy": 0.125}), train=split(), val=split()).text()
    [result] = head(text)["model-index"][0]["results"]
    assert (result["dataset"]["split"], result["metrics"][0]["value"]) == ("val", 0.125)
    assert "Nothing was tested." in text
    assert "| test |" not in text.partition("## Figures")[2].partition("## Control")[0]


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        (split(), split(), "The data name no groups"),
        (split(rule="within_files"), split(rule="within_files"), "Parts of the same recordings"),
        (split(groups=("p1", "p2")), split(groups=("p3",)), "No group (person, machine) that was tested"),
        (split(groups=("p1", "p2")), split(groups=("p2", "p3")), "Of 2 groups that were tested 1 were trained"),
    ],
)
def test_a_limit_says_whether_new_people_were_tested(train, test, sentence):
    assert f"\n- {sentence}" in card(train=train, test=test).text()


def test_windows_of_whole_recordings_must_be_aligned_and_others_need_not():
    assert "was a whole recording of 8 readings" in card(train=split(recordings=3, rows=24)).text()
    assert "each next one 4 readings later" in card(train=split(recordings=3, rows=720)).text()


def test_few_recordings_are_said_to_be_few():
    assert "one of them is worth 3.3 points" in card(train=split(), test=split(30)).text()
    assert "is worth" not in card(train=split(), test=split(1000)).text()
    some = replace(split(30), classes={"a|b": 5, "<img>": 15, "of no class": 10})
    text = card(train=split(), test=some).text()
    assert "are of 20 recordings: one of them is worth 5.0 points" in text
    assert "| test | float | 20 recordings |" in text


def test_offsets_and_rates_are_given():
    text = card().text()
    assert "| taken off each channel | 0, 2.5 |" in text
    assert "| sampling rate | 50 Hz |" in text
    assert "| range in training | -1 to 1, 0 to 4 |" in text
    assert "The program that trained it made the splits" in text


def test_each_class_has_its_figures_with_intervals():
    target, taken = np.array([0] * 10 + [1] * 4), np.array([0] * 8 + [1] * 2 + [1] * 4)
    text = card(replace(METRICS, test_details=details_of(target, taken, ("a|b", "<img>"), None))).text()
    low, high = binomtest(8, 10).proportion_ci(method="wilson")
    start = f"| a\\|b | 10 | 0.800 ({low:.2f} to {high:.2f}) | 1.000 ("
    assert start in text
    assert "intervals that take samples as independent, of which there are 14." in text
    assert "Class by class" not in card().text()
    many = tuple(f"c{number}" for number in range(60))
    text = card(replace(METRICS, test_details=details_of(np.arange(60), np.r_[0:59, 0], many, None))).text()
    assert "The 50 of 60 classes with the smallest F1." in text
    assert "| c59 | 1 | 0.000 (" in text


def confident(unknown=None, threshold=0.75):
    shares = Rejection(coverage=Share.of(9, 10), accuracy=Share.of(9, 9), unknown_accepted=unknown)
    errors = {"test": CalibrationError(before=0.25, after=0.125)}
    found = Confidence(temperature=0.5, threshold=threshold, calibration_error=errors, rejection={"test": shares})
    return card(replace(METRICS, confidence=found), about=replace(ABOUT, threshold=threshold)).text()


def test_a_limit_says_what_becomes_of_windows_of_no_class():
    assert "\n- It names one of its classes for every window" in card().text()
    text = confident()
    assert "It names one of its classes" not in text
    assert "whose score is below 0.75; on `test` that is 10.0 % of the windows of its classes. How many" in text
    low, high = (100 * end for end in binomtest(1, 8).proportion_ci(method="wilson"))
    said = f"Of 8 windows of no class it still takes 12.5 % for one of its classes (95 %: {low:.1f} % to {high:.1f} %)"
    assert said in confident(Share.of(1, 8))
    assert "below 0.75. What that does was not measured." in card(about=replace(ABOUT, threshold=0.75)).text()


def test_the_calibration_of_scores_is_on_the_card():
    assert "softmax of logits / 0.5, a temperature fitted on `val`. The expected" in confident()
    assert "error on `test` is 0.125, and 0.250 at temperature 1." in confident()
    assert "## Scores" not in card().text()
    found = Postprocess(method="majority", windows=5, tried=(), splits={})
    errors = Confidence(temperature=0.5, calibration_error={"test": CalibrationError(before=0.25, after=0.125)})
    text = card(replace(METRICS, confidence=errors, postprocess=found)).text()
    assert "Decisions are smoothed: majority of 5 successive windows." in text
