"""Parts of the page: pictures within it, what is said first, what is advised, and the file of the mistakes."""

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from torch import nn

from nas_lightning.cost.exact import cost_of
from nas_lightning.errors import DamagedFileError
from nas_lightning.files import write_npz
from nas_lightning.report.costs import CostReport, LimitReport
from nas_lightning.report.mistakes import read_mistakes
from nas_lightning.report.page import facts
from nas_lightning.report.page.advice import advice
from nas_lightning.report.page.confidence import (
    confidence_sentences,
    rejection_rows,
    smoothed_rows,
    smoothing_sentence,
)
from nas_lightning.report.page.files import RunFiles
from nas_lightning.report.page.svg import SERIES, inline, style_of_page
from nas_lightning.report.results import (
    Confidence,
    Control,
    FinalTraining,
    Postprocess,
    Reference,
    RunMetrics,
    SearchSummary,
    Selection,
    TrainingSummary,
)
from nas_lightning.runs.judging import thinned
from nas_lightning.tasks.confidence import Rejection, Share
from nas_lightning.tasks.smoothing import Smoothed


def drawn(name, label="one"):
    with style_of_page():
        figure = Figure(figsize=(3, 2))
        figure.subplots().plot([1, 2], [3, 4], color=SERIES[0], label=label)
        figure.legend()
        return str(inline(figure, name, 'a "line" <b>'))


def test_pictures_have_ids_of_their_own_and_the_colours_of_the_page():
    one, other = drawn("one"), drawn("other")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    assert len(ids[0]) == len(ids[1]) > 10
    assert not ids[0] & ids[1]
    assert set(re.findall(r"url\(#([^)]+)\)", one)) <= ids[0]
    assert "stroke: var(--c1)" in one
    assert not re.findall(r"#[0-9a-f]{6}", one)
    assert drawn("one") == one


def test_a_text_in_a_picture_stays_text():
    text = drawn("one", 'id="x" <script>--></svg>')
    assert 'id="x" &lt;script&gt;--&gt;&lt;/svg&gt;' in text
    assert text.count("</svg>") == 1
    assert 'aria-label="a &#34;line&#34; &lt;b&gt;"' in text


@pytest.fixture
def files():
    """A run that leaves nothing to be said."""
    control = Control(
        rank=1, mean=0.5, interval=(0.4, 0.6), verdict="won", metric="accuracy", epochs=3, found=0.9, random=(0.5, 0.4),
        references=(Reference(name="cnn_s", params=900, value=0.8),), kept="found", seconds=1.0,
        sentence="the search beat random choice", params=12,
    )  # fmt: skip
    figures = {"accuracy": 0.9, "balanced_accuracy": 0.9, "macro_f1": 0.9, "loss": 0.3}
    metrics = RunMetrics(
        preset="s", dataset="data", seed=0, val=figures, test=figures, val_int8=figures, test_int8=figures,
        training=TrainingSummary(seconds=1.0, epochs=3, best_epoch=2), control=control,
        search=SearchSummary(strategy="darts", seconds=1.0, epochs=1, steps=1), samples={"val": 500, "test": 500},
    )  # fmt: skip
    cost = CostReport(
        **vars(cost_of(nn.Conv1d(1, 1, 9), 1, 10)),
        device="chip",
        budget={"flash_bytes": LimitReport(limit=1000, value=800, holds=True)},
    )
    nothing = {"drawing": None, "mistakes": None, "description": None}
    nothing |= {name: {} for name in ("settings", "decisions", "kept", "history", "splits")}
    nothing |= dict.fromkeys(("summary", "genotypes", "searches", "warnings", "compared"), ())
    return RunFiles(name="run", metrics=metrics, cost=cost, present=frozenset(), **nothing)


def changed(files, **sections):
    return replace(files, metrics=replace(files.metrics, **sections))


def test_what_was_gained_is_one_sentence(files):
    assert advice(files) == facts.alarms(files) == []
    assert facts.lead(files) == (
        "The network that was found has 10 parameters, fits chip (flash 80 % of what it may use), and has an accuracy "
        "of 0.9000 on test; after 3 epochs of training the search's first choice, with 12 parameters, has 0.9000 on "
        "val, and the hand-made cnn_s with 900 parameters 0.8000."
    )
    older = changed(files, control=replace(files.metrics.control, params=None))
    assert "; after 3 epochs of training the search's first choice has 0.9000 on val" in facts.lead(older)


def test_a_frame_is_of_the_network_that_is_kept_which_may_be_a_drawn_one(files):
    trainings = tuple(FinalTraining(network=n, params=10, value=0.5, seconds=1.0) for n in (0, 1, 0))
    said = {
        kept: facts.frames(changed(files, selection=Selection(metric="accuracy", trainings=trainings, kept=kept)))
        for kept in range(3)
    }
    drawn_one = "what the network keeps, which is a drawn candidate and not the search's first choice"
    assert said == {0: "what the network keeps", 1: drawn_one, 2: "what the network keeps"}
    assert facts.frames(changed(files, control=replace(files.metrics.control, kept="random"))) == drawn_one
    assert facts.frames(changed(files, control=None)) == "what the network keeps"


def test_that_nearly_everything_is_rejected_comes_before_all_else(files):
    rejection = {"test": Rejection(coverage=Share.of(1, 40), accuracy=Share.of(1, 1), unknown_accepted=None)}
    confidence = Confidence(temperature=1.0, threshold=0.9, calibration_error={}, rejection=rejection)
    lost = replace(files.metrics.control, verdict="lost", sentence="the search lost to random choice")
    for control, more in ((None, []), (lost, ["The search lost to random choice."])):
        first, *others = facts.alarms(changed(files, confidence=confidence, control=control))
        assert first.startswith("The decision rejects 97.5% of the 40 windows of test: the threshold is 0.9000, which ")
        assert others == more


def test_a_control_that_won_comes_first(files):
    lost = replace(files.metrics.control, verdict="lost", sentence="the search lost to random choice", found=0.7)
    found = changed(files, control=lost)
    assert facts.alarms(found)[0] == "The search lost to random choice."
    assert facts.alarms(found)[1] == (
        "After as many epochs the hand-made cnn_s with 900 parameters is better than the search's first choice, with "
        "12 parameters: accuracy 0.8000 on val against 0.7000."
    )
    assert [text.split("`")[1] for text in advice(found)] == [
        "control.keep_better=true", "training.nas_enabled=false model=cnn_s",
    ]  # fmt: skip


def test_each_advice_follows_from_a_figure(files):
    few = changed(files, samples={"val": 20})
    assert "`val` has 20 samples, so one of them is 5.0 points" in advice(few)[0]
    worse = changed(files, val_int8=files.metrics.val | {"accuracy": 0.85})
    assert advice(worse)[0].startswith("int8 loses 0.0500 on val")
    assert advice(replace(worse, settings={"export": {"max_int8_drop": 0.06}})) == []
    unused = {"flash_bytes": LimitReport(limit=1000, value=100, holds=True)}
    empty = replace(files, cost=replace(files.cost, budget=unused))
    assert "uses at most 10 % of a limit: `nas_model_size=auto`" in advice(empty)[0]
    assert advice(replace(empty, settings={"training": {"nas_model_size": "auto"}})) == []
    learned = {"training": {"epoch": [1, 2, 3], "train_accuracy": [0.5, 1.0, 1.0]}}
    assert advice(replace(files, history=learned)) == []
    assert (
        "`augmentation=sensor`"
        in advice(changed(replace(files, history=learned), val={**files.metrics.val, "accuracy": 0.8}))[0]
    )


def test_a_network_above_a_limit_does_not_fit(files):
    above = {"flash_bytes": LimitReport(limit=1000, value=1200, holds=False)}
    found = replace(files, cost=replace(files.cost, budget=above))
    assert "does not fit chip" in facts.lead(found)
    assert next((bar.share, bar.holds) for bar in facts.bars(found)) == (120.0, False)


def arrays(**changes):
    values = np.zeros((2, 1, 8), np.float32)
    texts = dict.fromkeys(("labels", "taken_for", "recordings"), np.array(["a", "b"]))
    own = {"split": np.array("val"), "values": values, "rows": np.array(8), "scores": np.array([0.9, 0.8]), **texts}
    return own | changes


def test_the_file_of_the_mistakes_is_read_back(tmp_path):
    write_npz(tmp_path / "mistakes.npz", arrays())
    found = read_mistakes(tmp_path / "mistakes.npz")
    assert (found.split, found.rows, found.labels, found.scores) == ("val", 8, ("a", "b"), (0.9, 0.8))


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": np.array([{"a": 1}, "b"], dtype=object)}, {"values": np.zeros((2, 1, 300))}, {"rows": np.array(0)},
        {"values": np.full((2, 1, 8), np.nan)}, {"scores": np.array([0.9])}, {"values": np.zeros((2, 1, 1 << 18))},
    ],
)  # fmt: skip
def test_other_arrays_are_refused_and_no_object_is_made(tmp_path, changes):
    write_npz(tmp_path / "mistakes.npz", arrays(**changes))
    with pytest.raises(DamagedFileError, match=r"mistakes\.npz: cannot be read"):
        read_mistakes(tmp_path / "mistakes.npz")


def test_a_peak_survives_the_thinning():
    signal = np.zeros((1, 1, 5000))
    signal[0, 0, 3333], signal[0, 0, 17] = 5, -4
    found = thinned(signal, 256)
    assert found.shape == (1, 1, 256)
    assert (found.max(), found.min()) == (5, -4)


def test_a_temperature_at_its_bound_and_a_threshold_that_nothing_reaches_are_said():
    found = Confidence(temperature=100.0, bound="most", threshold=1.0000001, calibration_error={})
    said = " ".join(confidence_sentences(found))
    assert "logits / 100, a temperature fitted on val. That is the most that is allowed; val would have" in said
    assert said.endswith("so no window is accepted.")


def test_what_is_accepted_of_nothing_is_a_dash():
    accepted = {"val": Rejection(coverage=Share.of(0, 9), accuracy=None, unknown_accepted=Share.of(1, 4))}
    [row] = rejection_rows(Confidence(temperature=1.0, threshold=0.9, calibration_error={}, rejection=accepted))
    assert [bar.text for bar in (row.accepted, row.right, row.unknown, row.right_of_all)] == [
        "0.000", "-", "0.250", "0.000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "others", "said"),
    [
        ("none", 2, "No way of smoothing is better on val than each window alone, so none is kept."),
        ("mean", 1, "Kept is mean of 3, as the settings ask for."),
        ("mean", 2, "Kept is mean of 3, which has the best macro F1 over the windows of val."),
    ],
)
def test_which_windows_decide_together_is_a_sentence(method, others, said):
    figures = {"macro_f1": 0.5}
    way = Smoothed(
        method=method, windows=3, by_window=figures, by_recording={}, delay_windows=None, never_right=1, recordings=1
    )
    found = Postprocess(method=method, windows=3, tried=(way,) * (1 + others), splits={"test": way})
    assert smoothing_sentence(found, "macro_f1") == said
    [row] = smoothed_rows(found, "macro_f1")
    assert (row.of_windows, row.of_recordings, row.delay, row.never) == ("0.5000", "-", "-", "1 of 1")
