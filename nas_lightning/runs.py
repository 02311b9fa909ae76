"""What a configuration asks for: one run, the best front end, or the smallest network that is good enough."""

from pathlib import Path

from nas_lightning import front_ends, pipeline, smallest
from nas_lightning.config.records import Config
from nas_lightning.data.datamodule import TimeSeriesData
from nas_lightning.data.loaders import LoaderData
from nas_lightning.errors import InputError


def run(config: Config, folder: Path, data: TimeSeriesData | LoaderData | None = None, *, resume: bool = False) -> None:
    """Do what the configuration asks for, and leave it in ``folder``.

    Args:
        config: the configuration.
        folder: the run folder.
        data: used instead of what the configuration names.
        resume: go on with what ``folder`` holds.

    Raises:
        InputError: as ``pipeline.run``, ``front_ends.run`` and ``smallest.run``.
    """
    if config.search_features:
        if data is not None:
            raise InputError("search_features: needs recordings; allowed: false where DataLoaders are given")
        front_ends.run(config, folder, resume=resume)
    elif config.target_accuracy is not None:
        smallest.run(config, folder, data, resume=resume)
    else:
        pipeline.run(config, folder, data, resume=resume)
