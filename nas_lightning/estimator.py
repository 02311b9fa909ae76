"""A search and its network as a classifier of scikit-learn."""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning import progress
from nas_lightning.api import search_and_get_model
from nas_lightning.config.keys import to_overrides
from nas_lightning.data.stratified import stratified
from nas_lightning.data.windows import batch_size_of
from nas_lightning.errors import InputError

_MEASURED = 256  # series a batch where nothing is trained


class NasClassifier(ClassifierMixin, BaseEstimator):
    """Searches a network for labelled series, trains it, and classifies series with it.

    Series are ``X [N, C, L]`` (the convention ``numpy3D`` of sktime and of aeon), or ``[N, L]`` of one channel. ``fit``
    does a whole run as the command line does, with a share of ``X`` as the split ``val`` that chooses the network.

    Args:
        nas_model_size: ``s`` to ``xxl``, or ``auto``; None: ``auto`` with a budget, else ``s``.
        budget: limits by measure, for example ``{"params": 500}``; None for none.
        epochs: of the final trainings; None: by the number of series.
        search_epochs: of the search; None: 10.
        candidates: final trainings, of which the best is kept; None: 4, or what ``run.max_minutes`` has time for.
        val_share: of the series, for the split ``val``.
        device: where is trained, as ``trainer.accelerator`` of Lightning: ``cpu``, ``gpu`` or ``auto``.
        seed: of splits, search and trainings: one seed gives the same network twice.
        overrides: further settings as on the command line, for example ``["search=gdas"]``.
        folder: of the run, which must not hold one; None: a temporary folder that is removed after the training.
        verbose: 0: warnings alone, on stderr; 1: also bars, and the summary of the run on stdout.

    Attributes:
        classes_: the labels in order, ``[K]``.
        classifier_: what ``nas_lightning.load`` gives of the run.
        n_features_in_: channels times length.
        shape_: channels and length of a series.
    """

    def __init__(
        self,
        nas_model_size: str | None = None,
        budget: dict[str, float] | None = None,
        epochs: int | None = None,
        search_epochs: int | None = None,
        candidates: int | None = None,
        val_share: float = 0.25,
        device: str = "cpu",
        seed: int = 0,
        overrides: Sequence[str] = (),
        folder: str | Path | None = None,
        verbose: int = 0,
    ) -> None:
        self.nas_model_size, self.budget = nas_model_size, budget
        self.epochs, self.search_epochs, self.candidates = epochs, search_epochs, candidates
        self.val_share, self.device, self.seed = val_share, device, seed
        self.overrides, self.folder, self.verbose = overrides, folder, verbose

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Search and train.

        Args:
            X: ``[N, C, L]`` or ``[N, L]``, finite numbers.
            y: N labels.
            groups: N of what series have in common, as the recording or the person; those of one group are all in
                train or all in ``val``, which has about ``val_share``. None: each series alone.

        Raises:
            InputError: for series, labels or settings that cannot be used; it is a ``ValueError``.
        """
        series = self._series(X, reset=True, y=y)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_ = unique_labels(y)
        numbers = np.searchsorted(self.classes_, y)
        if len(self.classes_) < 2:
            raise InputError(f"y: has the one class {self.classes_[0]}; allowed: at least 2")
        loaders = self._loaders(series, numbers, groups)
        with contextlib.ExitStack() as stack:
            if not self.verbose:
                stack.enter_context(progress.using(lambda *_: progress.Bar()))
                stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # the summary, at the end of a run
            folder = self.folder
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
            overrides = [*to_overrides(self._settings()), *self.overrides]
            names = [str(label) for label in self.classes_]
            self.classifier_ = search_and_get_model(**loaders, class_names=names, overrides=overrides, folder=folder)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The class of each series, ``[N]``."""
        check_is_fitted(self)
        found: np.ndarray = self.classes_[self.predict_proba(X).argmax(1)]
        return found

    def predict_proba(self, X: Any) -> np.ndarray:
        """The scores of the classes, float64 ``[N, K]``; a row sums to 1."""
        check_is_fitted(self)
        series = self._series(X, reset=False)
        scores: np.ndarray = self.classifier_.predict(series).recordings.scores
        return scores[:, [self.classifier_.classes.index(str(label)) for label in self.classes_]]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags

    def _series(self, X: Any, *, reset: bool, y: Any = None) -> np.ndarray:
        """Checked series ``[N, C, L]``, of the shape of the training."""
        checks = {"dtype": "numeric", "allow_nd": True, "ensure_min_samples": 1}
        found = validate_data(self, X, reset=reset, **checks) if y is None else self._with_labels(X, y, checks)
        series = found[:, None] if found.ndim == 2 else found
        if series.ndim == 3 and series.shape[2] < 2:
            raise InputError(f"X: has series of 1 step, n_features={found.shape[1]}; allowed: 2 steps or more")
        if series.ndim != 3:
            raise InputError(f"X: has shape {list(found.shape)}; allowed: [N, C, L], or [N, L] of one channel")
        if reset:
            self.shape_ = series.shape[1:]
        elif series.shape[1:] != self.shape_:
            raise InputError(f"X: has series of shape {list(series.shape[1:])}; fitted were {list(self.shape_)}")
        return series

    def _with_labels(self, X: Any, y: Any, checks: dict[str, Any]) -> np.ndarray:
        found, _ = validate_data(self, X, y, reset=True, **checks)
        return found

    def _loaders(self, series: np.ndarray, numbers: np.ndarray, groups: Any) -> dict[str, Any]:
        """Loaders of train and val; no series is kept back for a test."""
        x, y = torch.from_numpy(series.astype(np.float32)), torch.from_numpy(numbers)
        if not 0 < self.val_share < 1:
            raise InputError(f"val_share: found {self.val_share}; allowed: more than 0, less than 1")
        if groups is None:
            train, val = _split(numbers, self.val_share, self.seed)
        else:
            train, val = _split_groups(numbers, column_or_1d(groups), self.val_share, self.seed)
        size = batch_size_of(len(train))
        return {
            "train_loader": DataLoader(TensorDataset(x[train], y[train]), size, shuffle=True),
            "valid_loader": DataLoader(TensorDataset(x[val], y[val]), _MEASURED),
        }

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "seed": self.seed,
            "training.training_epochs": self.epochs,
            "training.nas_epochs": self.search_epochs,
            "selection.candidates": self.candidates,
            "control.num_random": 0,
            "testing.enable": False,
            "trainer.accelerator": self.device,
            "logger": "none",
            "callbacks": "none",
        }
        if self.nas_model_size is not None:
            settings["nas_model_size"] = self.nas_model_size
        return settings | {f"budget.{measure}": limit for measure, limit in (self.budget or {}).items()}


def _split(numbers: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of train and val, with the same share of each class; a class of one series is in train alone.

    Raises:
        InputError: if that leaves none for val.
    """
    counts = np.bincount(numbers)
    rest = np.flatnonzero(counts[numbers] > 1)
    if not len(rest):
        raise InputError("y: every class has one series, which leaves none for val; allowed: 2 or more of a class")
    try:
        _, val = stratified(numbers[rest], share, seed)
    except ValueError:  # fewer than one of each class: take one of each
        _, val = np.unique(numbers[rest], return_index=True)
    return np.setdiff1d(np.arange(len(numbers)), rest[val]), rest[val]


def _split_groups(numbers: np.ndarray, groups: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of train and val, with whole groups in each, and about the same share of each class.

    Raises:
        InputError: if no such split leaves every class in train.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if len(groups) != len(numbers):
        raise InputError(f"groups: has {len(groups)} entries; y has {len(numbers)}")
    if (count := len(np.unique(groups))) < 2:
        raise InputError(f"groups: has the one group {groups[0]}; allowed: at least 2")
    folds = StratifiedGroupKFold(min(max(2, round(1 / share)), count), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class in y has only")  # it may be in train alone
        found = list(folds.split(numbers, numbers, groups))
    for train, val in found:
        if len(val) and len(np.unique(numbers[train])) == len(np.unique(numbers)):
            return train, val
    raise InputError("groups: every split leaves a class without series in train; allowed: 2 or more groups of a class")
