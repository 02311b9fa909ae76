import numpy as np
import pytest
import torch

from nas_lightning.data.annotations import read_lists, write_lists
from nas_lightning.data.recordings import Recordings
from nas_lightning.data.splits import check_splits, complete_factors, from_lists, make_splits, report, to_lists
from nas_lightning.data.words import Words
from nas_lightning.errors import InputError

SHARES = (0.6, 0.2, 0.2)
SPLITS = ("train", "val", "test")


def recordings_of(labels, length=20, groups=None, splits=None, values=None):
    count = len(labels)
    if values is None:
        values = torch.arange(count * length, dtype=torch.float32)[:, None]
    return Recordings(
        "made",
        values,
        np.arange(count + 1) * length,
        tuple(f"r{i}" for i in range(count)),
        np.array(labels),
        tuple("abc"[: max(labels) + 1]),
        None if groups is None else Words.of(list(map(str, groups))),
        None if splits is None else Words.of(splits),
        np.full(count, np.nan),
    )


def counts(recordings, segments):
    return {s: np.bincount(recordings.labels[segments[s][:, 0]]).tolist() for s in SPLITS}


def rows_of(segments):
    return sorted((n, row) for s in SPLITS for n, a, b in segments[s].tolist() for row in range(a, b))


def test_whole_files_are_dealt_by_class():
    made = recordings_of([0] * 40 + [1] * 20)
    segments = make_splits(made, "amongst_files", SHARES, 0, 20)
    assert counts(made, segments) == {"train": [24, 12], "val": [8, 4], "test": [8, 4]}
    assert rows_of(segments) == [(n, row) for n in range(60) for row in range(20)]


def test_a_test_split_of_the_source_stays():
    made = recordings_of([0, 1] * 15, splits=("train",) * 20 + ("test",) * 10)
    segments = make_splits(made, "auto", SHARES, 0, 20)
    assert segments["test"][:, 0].tolist() == list(range(20, 30))
    assert (len(segments["train"]), len(segments["val"])) == (15, 5)


def test_splits_of_the_source_are_all_taken():
    made = recordings_of([0, 1] * 3, splits=("train",) * 2 + ("val",) * 2 + ("test",) * 2)
    segments = make_splits(made, "auto", SHARES, 0, 20)
    assert {s: rows[:, 0].tolist() for s, rows in segments.items()} == {"train": [0, 1], "val": [2, 3], "test": [4, 5]}


def test_three_files_of_a_class_are_enough():
    made = recordings_of([0] * 3 + [1] * 3)
    assert counts(made, make_splits(made, "amongst_files", SHARES, 0, 20)) == {s: [1, 1] for s in SPLITS}


def test_a_class_with_one_recording_stays_in_train():
    made = recordings_of([0] * 10 + [1] * 10 + [2])
    segments = make_splits(made, "amongst_files", SHARES, 0, 20)
    assert 20 in segments["train"][:, 0]
    assert check_splits(made, segments) == ["the val split has no sample of c", "the test split has no sample of c"]


@pytest.mark.parametrize("split_type", ["auto", "by_group"])
def test_groups_stay_together(split_type):
    made = recordings_of([0, 1] * 40, groups=np.repeat(np.arange(10), 8))
    segments = make_splits(made, split_type, SHARES, 0, 20)
    groups = [{made.groups[n] for n in segments[s][:, 0]} for s in SPLITS]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 10
    assert [len(g) for g in groups] == [6, 2, 2]
    content = report(made, segments, split_type)
    assert content["val"]["groups"] == sorted(groups[1])
    assert {content[split]["rule"] for split in SPLITS} == {"by_group"}


def test_time_divides_each_recording_in_order():
    made = recordings_of([0, 1])
    segments = make_splits(made, "within_files", SHARES, 0, 20)
    assert {s: rows.tolist() for s, rows in segments.items()} == {
        "train": [[0, 0, 12], [1, 0, 12]],
        "val": [[0, 12, 16], [1, 12, 16]],
        "test": [[0, 16, 20], [1, 16, 20]],
    }
    assert check_splits(made, segments) == []


def test_windows_at_random_share_no_row_and_are_warned_of():
    made = recordings_of([0, 1] * 2, length=103)
    segments = make_splits(made, "amongst_windows", SHARES, 0, 10)
    assert rows_of(segments) == [(n, row) for n in range(4) for row in range(103)]
    (note,) = check_splits(made, segments)
    assert note.startswith("4 recordings, the first r0, are in several splits at random, so that test figures are too")


@pytest.mark.parametrize("split_type", ["amongst_files", "by_group", "amongst_windows"])
def test_the_seed_decides(split_type):
    made = recordings_of([0, 1] * 12, groups=np.repeat(np.arange(12), 2))
    found = [make_splits(made, split_type, SHARES, seed, 5)["val"].tolist() for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_the_shares_decide():
    made = recordings_of([0, 1] * 20)
    assert len(make_splits(made, "amongst_files", (0.2, 0.4, 0.4), 0, 20)["train"]) == 8


@pytest.mark.parametrize(
    ("given", "expected"), [(0.5, (0.5, 0.25, 0.25)), ([0.5, 0.3], (0.5, 0.3, 0.2)), ([0.7, 0.2, 0.1], (0.7, 0.2, 0.1))]
)
def test_shares_are_completed(given, expected):
    assert complete_factors(given) == pytest.approx(expected)


@pytest.mark.parametrize(
    "given",
    [1, 0, [0.5, 0.5], [0.5, 0.2, 0.1], [0.5, 0.6, -0.1], [0.25] * 4, [], None, "half", [float("nan"), 0.5, 0.5]],
)
def test_wrong_shares(given):
    with pytest.raises(InputError, match=r"`split_factor`: found .*; allowed: shares of train, val and test"):
        complete_factors(given)


@pytest.mark.parametrize(
    ("made", "split_type", "text"),
    [
        (
            recordings_of([0, 1]),
            "amongst_files",
            "every class has one recording, which leaves none for test; `split",
        ),
        (recordings_of([0, 1] * 4), "by_group", "by_group needs groups, which made does not have"),
        (recordings_of([0, 1] * 4, groups=[0] * 8), "by_group", "1 group cannot be divided; at least 2 are needed"),
        (
            recordings_of([0, 1] * 4, length=2),
            "within_files",
            "r0 has 2 rows, too few for `split_type`=within_files",
        ),
    ],
)
def test_splits_that_cannot_be_made(made, split_type, text):
    with pytest.raises(InputError) as error:
        make_splits(made, split_type, SHARES, 0, 20)
    assert text in str(error.value)


def test_a_split_that_loses_a_class_is_refused():
    made = recordings_of([0] * 4 + [1] * 2, groups=[0, 1, 2, 3, 4, 4])
    segments = {"train": np.array([[0, 0, 20]]), "val": np.array([[1, 0, 20]]), "test": np.array([[4, 0, 20]])}
    with pytest.raises(InputError, match=r"the split leaves no training sample of the classes \['b'\]"):
        check_splits(made, segments)


def test_duplicates_across_splits_are_named():
    values = torch.arange(120.0)[:, None]
    values[60:80] = values[:20]
    made = recordings_of([0, 1] * 3, values=values)
    segments = {s: np.array([[2 * i, 0, 20], [2 * i + 1, 0, 20]]) for i, s in enumerate(SPLITS)}
    assert check_splits(made, segments) == ["1 recordings are in two splits, the first: r3 of val is r0 of train"]


@pytest.mark.parametrize("split_type", ["amongst_files", "within_files", "amongst_windows"])
def test_lists_are_read_back(tmp_path, split_type):
    made = recordings_of([0, 1] * 5)
    segments = make_splits(made, split_type, SHARES, 0, 5)
    write_lists(tmp_path / "annotations", to_lists(made, segments))
    lists = read_lists(tmp_path, "made")
    assert {s: rows.tolist() for s, rows in from_lists(made, lists, "made").items()} == {
        s: segments[s].tolist() for s in SPLITS
    }


@pytest.mark.parametrize(("groups", "classes"), [(6, 2), (8, 2), (10, 3), (12, 3)])
@pytest.mark.parametrize("seed", range(4))
def test_few_groups_of_one_class_each_are_divided_without_losing_a_class(groups, classes, seed):
    made = recordings_of([g % classes for g in range(groups) for _ in range(2)], groups=np.repeat(np.arange(groups), 2))
    segments = make_splits(made, "by_group", SHARES, seed, 20)
    assert all(count > 0 for count in counts(made, segments)["train"])
    assert all(len(rows) for rows in segments.values())


@pytest.mark.parametrize("shares", [(0.2, 0.2, 0.6), (0.55, 0.05, 0.4), (0.1, 0.8, 0.1)])
def test_shares_of_groups_are_those_asked_for(shares):
    made = recordings_of([0, 1] * 20, groups=np.repeat(np.arange(20), 2))
    segments = make_splits(made, "by_group", shares, 0, 20)
    assert [len(segments[s]) for s in SPLITS] == [2 * round(20 * share) for share in shares]


def test_groups_in_several_splits_are_named():
    made = recordings_of([0, 1] * 3, groups=["x", "x", "x", "y", "y", "z"])
    notes = check_splits(made, make_splits(made, "amongst_files", SHARES, 0, 20))
    assert "are in several splits; `split_type`=by_group keeps each in one" in notes[0]


def test_lists_of_whole_recordings_are_names(tmp_path):
    made = recordings_of([0, 1] * 5)
    write_lists(tmp_path, to_lists(made, make_splits(made, "amongst_files", SHARES, 0, 5)))
    assert set("".join(p.read_text() for p in tmp_path.glob("*_list.txt")).split()) == set(made.names)


@pytest.mark.parametrize(
    ("train", "text"),
    [
        ("r9\n", "the list of train names 'r9', which made does not hold"),
        ("r0\t5\t30\n", "the list of train asks for rows 5 to 30 of r0, which has 20"),
        ("r0\t5\n", r"instances_train_list.txt, line 1: found 'r0\t5'; allowed: a name, or a name, a first row"),
        ("r0\nr1\n", "rows of r1 stand twice, in train and in val; allowed: once"),
        ("r0\t0\t9\nr0\t8\t20\n", "rows of r0 stand twice, in train; allowed: once"),
    ],
)
def test_wrong_lists(tmp_path, train, text):
    made = recordings_of([0, 1] * 3)
    for split, content in (("train", train), ("val", "r1\n"), ("test", "r2\n")):
        (tmp_path / f"instances_{split}_list.txt").write_text(content)
    with pytest.raises(InputError) as error:
        from_lists(made, read_lists(tmp_path, "made"), "made")
    assert text in str(error.value)


def test_missing_lists_are_made_anew(tmp_path, caplog):
    (tmp_path / "instances_train_list.txt").write_text("r0\n")
    assert read_lists(tmp_path, "made") is None
    assert "made has no list of val and test; all splits are made anew" in caplog.text


def test_the_report_counts():
    made = recordings_of([0, 1] * 5)
    content = report(made, make_splits(made, "amongst_files", SHARES, 0, 20), "amongst_files")
    assert content["train"] == {"rule": "amongst_files", "recordings": 6, "rows": 120, "classes": {"a": 3, "b": 3}}


@pytest.mark.parametrize(
    ("split_type", "given", "rules"),
    [
        ("auto", [], ["amongst_files"] * 3),
        ("within_files", ["test"], ["within_files", "within_files", "source"]),
        ("auto", ["val", "test"], ["source"] * 3),
        ("lists", ["test"], ["lists"] * 3),
    ],
)
def test_the_report_says_what_decided_each_split(split_type, given, rules):
    made = recordings_of([0, 1] * 10, splits=[*given * 4, *["train"] * (20 - 4 * len(given))] if given else None)
    content = report(made, {split: np.array([[0, 0, 20]]) for split in SPLITS}, split_type)
    assert [content[split]["rule"] for split in SPLITS] == rules
