"""What a classifier makes of recordings, and what it refuses."""

import copy
import pickle
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from classifiers import CLASSES, WINDOW, deciding, new_classifier, scores_of
from recording_files import make_recordings
from scipy.signal import resample_poly
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning import InputError
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import Reading
from nas_lightning.tasks.decisions import Smoothing


@pytest.fixture
def x():
    """Three recordings ``[3, 2, 65]``, of which three windows of 20 each fit."""
    return np.random.default_rng(0).standard_normal((3, 2, 65))


def test_arrays_are_cut_into_windows_in_order(x):
    found = new_classifier(rate=50.0).predict(x)
    windows = np.stack([one[:, at : at + WINDOW] for one in x for at in (0, 20, 40)])
    expected = scores_of(new_classifier(), windows)
    np.testing.assert_allclose(found.windows.scores, expected, atol=1e-6)
    assert found.windows.names == [name for name in "012" for _ in range(3)]
    assert found.windows.rows.tolist() == [0, 20, 40] * 3
    assert np.isnan(found.windows.seconds).all()  # arrays say no rate
    np.testing.assert_allclose(found.recordings.scores, expected.reshape(3, 3, 2).mean(1), atol=1e-6)
    assert found.recordings.labels.tolist() == [CLASSES[i] for i in expected.reshape(3, 3, 2).mean(1).argmax(1)]
    assert found.notes == ()


def test_one_array_a_list_and_tensors_are_taken_as_the_same(x):
    classifier = new_classifier()
    expected = classifier.predict(x).windows.scores
    np.testing.assert_array_equal(classifier.predict(list(x)).windows.scores, expected)
    np.testing.assert_array_equal(classifier.predict(torch.from_numpy(x)).windows.scores, expected)
    np.testing.assert_array_equal(classifier.predict(x[1]).windows.scores, expected[3:6])
    shorter = classifier.predict([x[0], x[1, :, :45]])
    np.testing.assert_allclose(shorter.windows.scores, expected[:5], atol=1e-6)


def test_times_follow_the_rate(x):
    found = new_classifier(rate=50.0).predict(x, sampling_rate=50.4)
    np.testing.assert_allclose(found.windows.seconds[:3], np.array([0, 20, 40]) / 50.4)


def test_recordings_at_another_rate_are_brought_to_that_of_the_network():
    rows = np.random.default_rng(1).standard_normal((2, 160))
    found = new_classifier(rate=25.0, new_sr=25.0).predict(rows, sampling_rate=100.0)
    slow = resample_poly(rows.astype(np.float32), 1, 4, axis=1, padtype="line")
    np.testing.assert_allclose(
        found.windows.scores, scores_of(new_classifier(), [slow[:, :20], slow[:, 20:]]), atol=1e-5
    )
    assert found.windows.rows.tolist() == [0, 80]
    assert found.windows.seconds.tolist() == [0.0, 0.8]


def test_offsets_are_taken_off_in_doubles():
    far = 2.0**31 + np.random.default_rng(2).standard_normal((2, 20))
    found = new_classifier(offsets=(2.0**31, 2.0**31)).predict(far)
    np.testing.assert_allclose(found.windows.scores, scores_of(new_classifier(), [far - 2.0**31]), atol=1e-6)


def test_short_ends_are_filled_up_where_the_training_did_it(x):
    found = new_classifier(keep_short_tails=True).predict(x[:1])
    last = np.pad(x[0, :, 60:], ((0, 0), (0, 15)))
    np.testing.assert_allclose(found.windows.scores[3], scores_of(new_classifier(), [last])[0], atol=1e-6)
    assert found.windows.rows.tolist() == [0, 20, 40, 60]


def frame(names=("ch0", "ch1"), **columns):
    return pd.DataFrame({name: np.sin(np.arange(20) * (0.3 + i)) for i, name in enumerate(names)} | columns)


def test_columns_in_another_order_are_put_right_and_that_is_said():
    classifier = new_classifier()
    right = classifier.predict(frame())
    found = classifier.predict(frame()[["ch1", "ch0"]])
    np.testing.assert_array_equal(found.windows.scores, right.windows.scores)
    (note,) = found.notes
    assert note == (
        "the data frame: all has its channels in the order ch1, ch0; they are brought to that of the network, ch0, ch1"
    )
    assert right.notes == ()


def test_a_frame_may_name_recordings_and_classes():
    table = pd.concat([frame(recording=name, label=label) for name, label in (("a", "x"), ("b", ""))])
    found = new_classifier().predict(table)
    assert found.recordings.names == ["a", "b"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda: frame(("ch0", "ch2")), "the data frame: all lacks ch1 and also has ch2; the network takes the "),
        (lambda: frame(("ch0",)), "the data frame: all lacks ch1; the network takes the channels ch0, ch1, each once"),
        (lambda: frame(("ch0", "ch1", "more")), "the data frame: all also has more; the network takes the channels "),
        (lambda: np.zeros((1, 3, 40)), "x: 0 has 3 channels; the network takes 2: ch0, ch1"),
        (lambda: np.zeros((40, 2)), "x: 0 has shape [40, 2]; channels come first, [C, T], and the network takes 2"),
        (lambda: [np.zeros((2, 40)), np.zeros((40, 2))], "x: 1 has shape [40, 2]; channels come first"),
        (lambda: frame().assign(ch1=np.nan), "the data frame: all: row 0 of channel 1 (ch1) is missing, the first of"),
        (lambda: np.zeros((1, 2, 19)), "x: 0 has 19 rows in a row; the network takes windows of 20, and was"),
        (lambda: np.zeros((2, 2, 2, 40)), "x: has a recording of shape [2, 2, 2, 40]; allowed: arrays"),
        (lambda: np.full((1, 2, 20), np.nan), "x: 0: row 0 of channel 0 is missing, the first of 40 values that are; "),
        (lambda: [np.array(["a"])], "x[0]: is ndarray of type <U1; allowed: arrays"),
        (lambda: "nowhere", "`path`: there is no nowhere; allowed: "),
    ],
)  # fmt: skip
def test_recordings_that_do_not_fit_are_refused(given, said):
    with pytest.raises(InputError) as error:
        new_classifier().predict(given())
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    ("framing", "given", "said"),
    [
        ({}, 100.0, "has a sampling rate of 100 Hz; the network was trained on 50 Hz"),
        ({"new_sr": 50.0}, 40.0, "40 Hz; the network was trained on 50 Hz or more, which is brought to that"),
        ({"new_sr": 50.0}, None, "`sampling_rate`: is null, and the recordings do not say it; new_sr needs it"),
    ],
)  # fmt: skip
def test_another_rate_is_refused(x, framing, given, said):
    with pytest.raises(InputError) as error:
        new_classifier(rate=50.0, **framing).predict(x, sampling_rate=given)
    assert said in str(error.value)


def test_whole_recordings_have_one_length(x):
    classifier = new_classifier(is_whole=True)
    assert len(classifier.predict(x[..., :20]).windows) == 3
    with pytest.raises(InputError, match="x: 0 has 65 rows; the network takes whole recordings of 20 rows"):
        classifier.predict(x)


def test_values_in_another_unit_are_told():
    found = new_classifier(unit="samples / 32768").predict(np.zeros((1, 2, 20)))
    assert found.notes == ("x: its values are as they are written; the network was trained on samples / 32768",)


def test_variables_by_number_are_taken_as_in_training(x):
    wide = np.concatenate([x[:, 1:], np.zeros_like(x[:, :1]), x[:, :1]], axis=1)
    found = new_classifier(variables=[2, 0]).predict(wide)
    np.testing.assert_array_equal(found.windows.scores, new_classifier().predict(x).windows.scores)


def test_a_threshold_and_a_temperature_of_the_description_count(x):
    plain, found = new_classifier().predict(x), deciding(new_classifier(), threshold=0.6, temperature=2.0).predict(x)
    assert plain.windows.accepted.all()
    odds = np.log(plain.windows.scores[:, 0] / plain.windows.scores[:, 1]) / 2
    np.testing.assert_allclose(found.windows.scores[:, 0], 1 / (1 + np.exp(-odds)), atol=1e-6)
    np.testing.assert_array_equal(found.windows.accepted, found.windows.scores.max(1) >= np.float32(0.6))


@pytest.mark.parametrize("method", ["majority", "mean", "hysteresis"])
def test_windows_decide_together_as_the_run_says(method):
    x = np.random.default_rng(1).standard_normal((3, 2, 400)) * np.linspace(0, 3, 400)
    alone, together = (
        deciding(new_classifier(), threshold=0.52, postprocess=way) for way in (None, Smoothing(method, 3))
    )
    found, expected = together.predict(x), []
    windows = torch.from_numpy(x.reshape(3, 2, 20, 20).transpose(0, 2, 1, 3).astype(np.float32))  # [3, 20, 2, 20]
    for recording in windows:
        stream = together.decision.stream()
        with torch.no_grad():
            expected.append([stream(logits) for logits in together.network(recording).numpy()])
    assert found.windows.decided.tolist() == [each for own in expected for each in own]
    assert found.windows.decided.tolist() != alone.predict(x).windows.decided.tolist()
    assert found.recordings.decided.tolist() == [max(own, key=own.count) for own in expected]
    assert found.windows.accepted.tolist() == [each >= 0 for own in expected for each in own]


@pytest.mark.parametrize("method", [None, "majority", "mean", "hysteresis"])
@pytest.mark.parametrize("threshold", [None, 0.52])
def test_class_score_and_accepted_are_of_one_decision(method, threshold):
    """The score is the mean of that class over the windows that decide, by a loop of its own."""
    x = np.random.default_rng(1).standard_normal((3, 2, 400)) * np.linspace(0, 3, 400)
    smoothing = None if method is None else Smoothing(method, 3)
    classifier = deciding(new_classifier(), threshold=threshold, postprocess=smoothing)
    found = classifier.predict(x)
    windows = x.reshape(3, 2, 20, 20).transpose(0, 2, 1, 3)
    num_changed = 0
    for number, recording in enumerate(windows):
        scores, stream = scores_of(classifier, recording), classifier.decision.stream()
        with torch.no_grad():
            said = [stream(row) for row in classifier.network(torch.from_numpy(recording.astype(np.float32))).numpy()]
        for i, decided in enumerate(said):
            row = 20 * number + i
            means = scores[max(0, i - (0 if method is None else 2)) : i + 1].mean(0)
            named = means.argmax() if decided < 0 else decided
            assert found.windows.labels[row] == CLASSES[named]
            assert found.windows.best[row] == pytest.approx(means[named], abs=1e-5)
            assert found.windows.accepted[row] == (decided >= 0)
            if threshold is not None and method in (None, "mean"):
                assert found.windows.accepted[row] == (found.windows.best[row] >= np.float32(threshold))
            np.testing.assert_allclose(found.windows.scores[row], scores[i], atol=1e-5)
            num_changed += named != scores[i].argmax()
        recorded = found.recordings.labels[number], found.recordings.best[number]
        assert recorded[1] == pytest.approx(scores.mean(0)[CLASSES.index(recorded[0])], abs=1e-5)
    assert (num_changed > 0) == (method is not None)


def test_columns_are_named_and_those_of_groups_may_be_absent():
    classifier = new_classifier()
    own = {"recording": "run_id", "group": "machine", "label": "state", "split": "fold"}
    classifier.preparation = replace(classifier.preparation, reading=Reading(columns=own))
    expected = new_classifier().predict(frame()).windows.scores
    for more in ({}, {"machine": "m1", "state": "odd", "fold": "train"}):
        found = classifier.predict(frame(run_id="a", **more))
        assert found.recordings.names == ["a"]
        np.testing.assert_array_equal(found.windows.scores, expected)
    found = classifier.predict(frame(who="b"), columns={"recording": "who"})
    assert found.recordings.names == ["b"]
    assert classifier.predict(frame(), columns={"recording": "recording", "group": None}).recordings.names == ["all"]
    with pytest.raises(InputError) as error:
        classifier.predict(frame(run_id="a"), columns={"group": "person"})
    assert str(error.value).endswith("has no column 'person', which `columns.group` names; found ch0, ch1, run_id")
    for wrong in ({"sensor": "a"}, {"time": None}, {"group": 3}):
        with pytest.raises(InputError, match=r"^columns: found .*; allowed: recording, time, label, group, split"):
            classifier.predict(frame(run_id="a"), columns=wrong)


def test_a_loader_gives_samples_that_are_ready(x):
    classifier = new_classifier()
    samples = torch.from_numpy(x[..., :20].astype(np.float32))
    expected = scores_of(classifier, samples.numpy())
    for loader in (DataLoader(samples, 2), DataLoader(TensorDataset(samples, torch.zeros(3)), 2)):
        np.testing.assert_allclose(classifier.predict(loader).windows.scores, expected, atol=1e-6)


def test_a_run_on_samples_takes_samples_only(x):
    classifier = new_classifier()
    classifier.preparation = None
    assert len(classifier.predict(x[..., :20]).recordings) == 3
    with pytest.raises(InputError, match=r"^preparation\.json: is missing"):
        classifier.predict("somewhere")


def test_a_classifier_is_a_module_with_the_state_of_its_network(x):
    classifier = new_classifier()
    assert classifier.state_dict().keys() == classifier.network.state_dict().keys()
    other = copy.deepcopy(classifier)
    other.load_state_dict({name: values + 1 for name, values in classifier.state_dict().items()})
    assert not torch.equal(other.network.head.weight, classifier.network.head.weight)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict(x).windows.scores, classifier.predict(x).windows.scores)


def test_recordings_pass_by_and_none_is_kept(tmp_path):
    """Three times as many files of 2 MiB take no more memory."""
    random, classifier, peaks = np.random.default_rng(3), new_classifier(hop=50 * WINDOW), []
    for number in range(30):
        np.save(tmp_path / f"{number:02d}.npy", random.standard_normal((1 << 17, 2)))
        if number not in (9, 29):
            continue
        tracemalloc.start()
        source = open_source(None, str(tmp_path), classifier.reading(Reading(), is_labelled=False))
        count = sum(len(classifier.outcomes(part)) for part in classifier.stream(source, []))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == (number + 1) * (1 + ((1 << 17) - WINDOW) // (50 * WINDOW))
    assert peaks[1] < 1.25 * peaks[0] < 48 << 20


def test_files_without_classes_are_read(tmp_path):
    (tmp_path / "some" / "where").mkdir(parents=True)
    recordings = make_recordings((40,) * 3)
    for (name, values, _), folder in zip(recordings, ("", "some", "some/where"), strict=True):
        lines = ["ch0,ch1", *(f"{a},{b}" for a, b in values)]
        (tmp_path / folder / f"{name}.csv").write_text("\n".join(lines))
    classifier = new_classifier()
    found = classifier.predict(tmp_path)
    assert found.recordings.names == ["r00.csv", "some/r01.csv", "some/where/r02.csv"]
    expected = classifier.predict([values.T for _, values, _ in recordings])
    np.testing.assert_allclose(found.windows.scores, expected.windows.scores, atol=1e-6)
    alone = classifier.predict(tmp_path / "some" / "r01.csv")
    np.testing.assert_allclose(alone.windows.scores, expected.windows.scores[2:4], atol=1e-6)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no recordings"):
        classifier.predict(tmp_path / "empty")


@pytest.mark.parametrize("content", [{"X": 3}, {"X_test": 3, "y_test": 3}, {"X_train": 2, "X_test": 1}])
def test_arrays_in_a_file_need_no_labels(tmp_path, x, content):
    series = {name: x[:count] if name[0] == "X" else np.zeros(count) for name, count in content.items()}
    np.savez(tmp_path / "new.npz", **series)
    assert len(new_classifier().predict(tmp_path / "new.npz").recordings) == 3
    np.savez(tmp_path / "other.npz", Z=x)
    with pytest.raises(InputError, match=r"lacks X; found \['Z'\]"):
        new_classifier().predict(tmp_path / "other.npz")


def test_a_table_without_recordings_is_one(tmp_path):
    frame().to_csv(tmp_path / "new.csv", index=False)
    frame().to_parquet(tmp_path / "new.parquet")
    expected = new_classifier().predict(frame()).windows.scores
    for name in ("new.csv", "new.parquet"):
        found = new_classifier().predict(tmp_path / name)
        np.testing.assert_allclose(found.windows.scores, expected, atol=1e-6)
        assert len(found.recordings) == 1


SAID = Reading(series_per_line=True, columns={"label": None})


def write_series(path, x, first):
    """Integers of series, a line each, behind a first cell if there is one."""
    sign = "\t" if path.suffix == ".tsv" else ","
    rows = ([*([first] if first is not None else []), *map(int, values)] for values in x)
    path.write_text("\n".join(sign.join(map(str, row)) for row in rows) + "\n")
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv"])
@pytest.mark.parametrize(("first", "reading"), [(None, SAID), ("?", Reading(columns={"label": "0"})), ("calm", None)])
def test_series_a_line_need_no_labels(tmp_path, ending, first, reading):
    x = np.random.default_rng(4).integers(-9, 9, (3, 65))
    path = write_series(tmp_path / f"new.{ending}", x, first)
    if first == "?" and ending == "csv":
        reading = replace(reading, series_per_line=True)
    classifier = new_classifier(("value",))
    found = classifier.predict(path, reading=reading)
    expected = classifier.predict(x[:, None].astype(float))
    np.testing.assert_array_equal(found.windows.scores, expected.windows.scores)
    assert len(found.recordings) == 3


def test_a_series_that_lacks_a_value_may_lack_a_label(tmp_path):
    x = np.random.default_rng(4).integers(-9, 9, (3, WINDOW))
    path, classifier = write_series(tmp_path / "new.tsv", x, None), new_classifier(("value",), is_whole=True)
    with pytest.raises(InputError, match=r"has 19 rows; .* where a line has no label, `columns\.label`=null says so$"):
        classifier.predict(path)
    assert len(classifier.predict(path, reading=SAID).recordings) == 3
    with pytest.raises(InputError, match=r"has 18 rows; .* cuts them into windows$"):
        classifier.predict(write_series(path, x[:, :-1], None))
