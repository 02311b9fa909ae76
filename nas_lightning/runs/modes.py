"""What a configuration asks for: one run, the best front end, or the smallest network that is good enough."""

from pathlib import Path

from nas_lightning.config.records import Config
from nas_lightning.data.protocol import SearchData
from nas_lightning.errors import InputError
from nas_lightning.report.results import RunResult
from nas_lightning.runs import pipeline
from nas_lightning.runs.claim import STARTED, claimed, refuse_used

REPLACEABLE = ("searches.json", "contest.json", "metrics.json", STARTED)
"""Files of a run folder that can be removed where they are damaged; a run that goes on makes them again."""


def run(
    config: Config,
    folder: Path,
    data: SearchData | None = None,
    *,
    resume: bool = False,
    since: float | None = None,
) -> RunResult:
    """Do what the configuration asks for, and leave it in ``folder``.

    Args:
        config: the configuration.
        folder: the run folder.
        data: used instead of what the configuration names.
        resume: go on with what ``folder`` holds.
        since: when the time of a single run began, by ``time.perf_counter``; None: now.

    Raises:
        UsedFolderError: if the folder holds a run already, or another process works in it.
        InputError: as ``pipeline.run``, ``best_features.run`` and ``smallest.run``.
    """
    if config.search_features and data is not None:
        raise InputError("search_features: needs recordings; allowed: false where DataLoaders are given")
    with claimed(folder):
        refuse_used(folder, resume)
        if config.search_features:
            from nas_lightning.runs import best_features  # what only some runs do is imported at need

            return best_features.run(config, folder)
        if config.target_accuracy is not None:
            from nas_lightning.runs import smallest

            return smallest.run(config, folder, data)
        return pipeline.run(config, folder, data, since=since)
