"""The classifier of scikit-learn: real runs, as short as they can be."""

import copy
import functools
import json
import math

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from nas_lightning import InputError, NasClassifier, load
from nas_lightning.estimator import _split_groups

TINY = {"epochs": 2, "search_epochs": 1, "candidates": 1, "overrides": ("run.backend=here", "export.int8=false")}

pytestmark = pytest.mark.usefixtures("quiet_fits")


@pytest.fixture(scope="module")
def series():
    """Two classes that a mean tells apart: ``X [24, 2, 16]`` and labels that are words."""
    y = np.array(["low", "high"] * 12)
    X = np.random.default_rng(0).standard_normal((24, 2, 16)) + 4.0 * (y == "high")[:, None, None]
    return X, y


@pytest.fixture(scope="module")
def fitted(series):
    return NasClassifier(**TINY | {"epochs": 12}).fit(*series)


def test_it_learns_and_gives_labels_as_they_were_given(fitted, series):
    X, y = series
    assert fitted.classes_.tolist() == ["high", "low"]
    scores = fitted.predict_proba(X)
    np.testing.assert_allclose(scores.sum(1), 1)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[scores.argmax(1)])
    assert fitted.score(X, y) > 0.9


@pytest.mark.slow
def test_the_same_seed_gives_the_same_and_a_clone_is_unfitted(series):
    first = NasClassifier(**TINY).fit(*series).predict_proba(series[0])
    again = clone(NasClassifier(**TINY))
    assert not hasattr(again, "classifier_")
    np.testing.assert_array_equal(again.fit(*series).predict_proba(series[0]), first)
    other = NasClassifier(**TINY, seed=1).fit(*series).predict_proba(series[0])
    assert np.abs(other - first).max() > 0


@pytest.mark.slow
def test_it_works_in_a_pipeline_on_series_of_one_channel(series):
    X, y = series
    model = make_pipeline(FunctionTransformer(functools.partial(np.multiply, 2)), NasClassifier(**TINY))
    assert cross_val_score(model, X[:, 0], y, cv=2).shape == (2,)


def test_limits_and_settings_reach_the_run_and_its_folder_stays(series, tmp_path):
    model = NasClassifier(**TINY, budget={"params": 300}, folder=tmp_path / "run").fit(*series)
    assert sum(p.numel() for p in model.classifier_.network.head.parameters()) < 300
    assert load(tmp_path / "run").classes == ("high", "low")
    assert json.loads((tmp_path / "run/input.json").read_text())["class_names"] == ["high", "low"]
    with pytest.raises(InputError, match="holds a run already"):
        model.fit(*series)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X, y: (X, np.zeros(len(y))), r"^y: has the one class 0\.0; allowed: at least 2"),
        (lambda X, y: (X[:, :, :1], y), r"^X: has series of 1 step"),
        (lambda X, y: (X[:2], y[:2]), r"^y: every class has one series"),
        (lambda X, y: (X[..., None], y), r"^X: has shape \[24, 2, 16, 1\]; allowed"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(series, change, said):
    with pytest.raises(InputError, match=said):
        NasClassifier(**TINY).fit(*change(*series))


def test_series_of_another_shape_are_refused(fitted, series):
    with pytest.raises(InputError, match=r"^X: has series of shape \[2, 15\]; fitted were \[2, 16\]"):
        copy.copy(fitted).predict(series[0][..., :15])


def test_it_says_nothing_on_stdout_unless_asked(series, capsys):
    short = {**TINY, "epochs": 1, "overrides": (*TINY["overrides"], "training.nas_enabled=false")}
    NasClassifier(**short).fit(*series)
    quiet = capsys.readouterr()
    assert quiet.out == ""
    NasClassifier(**short, verbose=1).fit(*series)
    assert "val accuracy" in capsys.readouterr().out


def test_series_of_one_group_are_all_in_train_or_all_in_val(series):
    """Two series a group, each of its own class; val is about a quarter: 3 of 12 groups."""
    groups = np.repeat([f"person{i}" for i in range(12)], 2)
    numbers = (series[1] == "low").astype(int)
    for seed in range(5):
        train, val = _split_groups(numbers, groups, 0.25, seed)
        assert not {*groups[train]} & {*groups[val]}
        assert sorted([*train, *val]) == list(range(24))
        assert len(val) == 6
        assert np.bincount(numbers[val]).tolist() == [3, 3]
    splits = {tuple(_split_groups(numbers, groups, 0.25, seed)[1]) for seed in range(5)}
    assert len(splits) > 1


def test_groups_reach_the_loaders(series):
    """A value that only the series of a group have is in one of both loaders."""
    X, y = series
    groups = np.repeat(np.arange(12), 2)
    loaders = NasClassifier()._loaders(
        np.broadcast_to(groups[:, None, None], X.shape), (y == "low").astype(int), groups
    )
    train, val = ({*loader.dataset.tensors[0].unique().tolist()} for loader in loaders.values())
    assert not train & val
    assert train | val == {*range(12)}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["a"] * 24, "^groups: has the one group a; allowed: at least 2"),
        (["a", "b"], "^groups: has 2 entries; y has 24"),
        (["a", "b"] * 12, "^groups: every split leaves a class without series in train"),
    ],
)
def test_groups_that_cannot_be_split_are_refused(series, groups, said):
    with pytest.raises(InputError, match=said):
        NasClassifier(**TINY).fit(*series, groups=groups)


@pytest.mark.parametrize(
    ("override", "nearest"),
    [("training.traning_epochs=3", "training.training_epochs"), ("frame_sise=3", "data_processing_feature_extraction")],
)
def test_a_misspelt_override_is_named_with_the_nearest_key(series, override, nearest):
    with pytest.raises(
        InputError, match=f"^overrides: unknown key '{override[:-2]}'; the nearest known key is '{nearest}"
    ):
        NasClassifier(**TINY | {"overrides": (override,)}).fit(*series)


class Longer(NasClassifier):
    """The same on series that are repeated up to 8 steps: the checks have 1 to 5 columns, and a network needs 5."""

    def _series(self, X, *, reset, y=None):
        series = super()._series(X, reset=reset, y=y)
        return np.tile(series, (1, 1, math.ceil(8 / series.shape[2])))


EXPECTED = {"check_classifiers_train": "asks for an accuracy of 0.83, which one epoch does not reach"}
SHORTEST = {**TINY, "epochs": 1, "overrides": (*TINY["overrides"], "training.nas_enabled=false")}


@pytest.mark.slow
@parametrize_with_checks([Longer(**SHORTEST)], expected_failed_checks=lambda estimator: EXPECTED)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)
