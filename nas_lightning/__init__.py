"""Differentiable architecture search for tiny 1-D CNN time-series classifiers."""

from nas_lightning.api import search_and_get_model
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.features import FrontEnd
from nas_lightning.errors import InputError
from nas_lightning.runs.folder import load
from nas_lightning.space.genotype import Genotype

__all__ = ["FrontEnd", "Genotype", "InputError", "TimeSeriesData", "load", "search_and_get_model"]
