"""Differentiable architecture search for tiny 1-D CNN time-series classifiers.

The names of ``__all__`` keep their meaning between minor versions; what else can be imported may change with any.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_lightning.api import search_and_get_model
    from nas_lightning.callbacks import AlphaPictures, CollapseAlarm, GenotypeHistory
    from nas_lightning.cost.budget import Budget
    from nas_lightning.cost.exact import cost_of
    from nas_lightning.data.datamodule import TimeSeriesData
    from nas_lightning.data.features import FrontEnd
    from nas_lightning.data.protocol import SearchData
    from nas_lightning.errors import BudgetError, InputError
    from nas_lightning.estimator import NasClassifier
    from nas_lightning.search.base import Problem
    from nas_lightning.search.gradient import GradientSearch
    from nas_lightning.search.loaders import SearchLoaders
    from nas_lightning.search.module import SearchModule
    from nas_lightning.search.random import RandomSearch
    from nas_lightning.search.strategy import Strategy
    from nas_lightning.space.cells.genotype import Genotype
    from nas_lightning.space.cells.space import CellSpace
    from nas_lightning.space.outlines import Outline, OutlineSpace
    from nas_lightning.tasks import Classification
    from nas_lightning.training.evaluator import Evaluator
    from nas_lightning.training.module import TrainModule
    from nas_lightning.training.recipe import Recipe
    from nas_lightning.use.classifier import Classifier
    from nas_lightning.use.loading import load
    from nas_lightning.use.outcomes import Outcomes, Predictions

__all__ = [
    "AlphaPictures",
    "Budget",
    "BudgetError",
    "CellSpace",
    "Classification",
    "Classifier",
    "CollapseAlarm",
    "Evaluator",
    "FrontEnd",
    "Genotype",
    "GenotypeHistory",
    "GradientSearch",
    "InputError",
    "NasClassifier",
    "Outcomes",
    "Outline",
    "OutlineSpace",
    "Predictions",
    "Problem",
    "RandomSearch",
    "Recipe",
    "SearchData",
    "SearchLoaders",
    "SearchModule",
    "Strategy",
    "TimeSeriesData",
    "TrainModule",
    "cost_of",
    "load",
    "search_and_get_model",
]
__version__ = version("nas-lightning")

_PLACES = {
    "AlphaPictures": "callbacks",
    "Budget": "cost.budget",
    "BudgetError": "errors",
    "CellSpace": "space.cells.space",
    "Classification": "tasks",
    "Classifier": "use.classifier",
    "CollapseAlarm": "callbacks",
    "Evaluator": "training.evaluator",
    "FrontEnd": "data.features",
    "Genotype": "space.cells.genotype",
    "GenotypeHistory": "callbacks",
    "GradientSearch": "search.gradient",
    "InputError": "errors",
    "NasClassifier": "estimator",
    "Outcomes": "use.outcomes",
    "Outline": "space.outlines",
    "OutlineSpace": "space.outlines",
    "Predictions": "use.outcomes",
    "Problem": "search.base",
    "RandomSearch": "search.random",
    "Recipe": "training.recipe",
    "SearchData": "data.protocol",
    "SearchLoaders": "search.loaders",
    "SearchModule": "search.module",
    "Strategy": "search.strategy",
    "TimeSeriesData": "data.datamodule",
    "TrainModule": "training.module",
    "cost_of": "cost.exact",
    "load": "use.loading",
    "search_and_get_model": "api",
}
"""Where each public name is; it is imported at need, so that the command line answers before PyTorch is loaded."""


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
