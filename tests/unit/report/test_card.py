"""What a model card says, from the records of a run; the cards of real runs are in tests/e2e/test_papers.py."""

from dataclasses import replace

import pytest
import yaml

from nas_lightning.export.contract import InputDescription
from nas_lightning.report.card import Card, SplitReport
from nas_lightning.report.costs import CostReport
from nas_lightning.report.results import RunMetrics
from nas_lightning.tasks import Classes

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


def test_offsets_and_rates_are_given():
    text = card().text()
    assert "| taken off each channel | 0, 2.5 |" in text
    assert "| sampling rate | 50 Hz |" in text
    assert "| range in training | -1 to 1, 0 to 4 |" in text
    assert "The program that trained it made the splits" in text
