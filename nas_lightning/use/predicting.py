"""``nas-lightning predict RUN recordings``: the class of each window or recording, in a file."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas_lightning.config.compose import in_keys
from nas_lightning.data.readers import open_source
from nas_lightning.errors import printable
from nas_lightning.runs.build import keyed
from nas_lightning.use.asked import Asked
from nas_lightning.use.outcomes import Outcomes, by_recording
from nas_lightning.use.tables import columns_of, writing

OUT = Path("predictions.csv")
"""What is written if nothing is said."""


class _Counts:
    """How often each class was found."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._of = {key: np.zeros(len(classes), dtype=np.int64) for key in ("recordings", "windows", "accepted")}
        self._scores = np.zeros(len(classes))

    def add(self, windows: Outcomes, recordings: Outcomes) -> None:
        """Count the outcomes of a part."""
        count = len(self._classes)
        self._of["windows"] += np.bincount(windows.named, minlength=count)
        self._of["recordings"] += np.bincount(recordings.named, minlength=count)
        self._of["accepted"] += np.bincount(windows.named[windows.accepted], minlength=count)
        self._scores += np.bincount(windows.named, windows.best, minlength=count)

    def to_dict(self) -> dict[str, dict[str, int]]:
        """By class."""
        return {
            name: {key: int(counts[number]) for key, counts in self._of.items()}
            for number, name in enumerate(self._classes)
        }

    def table(self) -> Table:
        """A row a class."""
        table = Table("class", *self._of, "mean score")
        for number, name in enumerate(self._classes):
            found = [int(counts[number]) for counts in self._of.values()]
            mean = f"{self._scores[number] / found[1]:.4f}" if found[1] else ""
            table.add_row(escape(printable(name)), *(f"{count:,}" for count in found), mean)
        return table


def predict(words: Asked, config_dir: Path | None = None) -> dict[str, Any]:
    """Write a file with a row for each window or each of some recordings, and print how often each class was found.

    Args:
        words: of the command.
        config_dir: see ``load``.

    Returns:
        where the file is, and the counts.

    Raises:
        InputError: for recordings that the network was not trained for; nothing is written then.
        OSError: if the file cannot be written.
    """
    classifier, path, notes = words.classifier(config_dir), words.out or OUT, list[str]()
    counts = _Counts(classifier.classes)
    columns = columns_of(words.by, classifier.decision.smoothing is not None)
    with keyed("data"), writing(path, columns) as file:
        source = open_source(None, words.data, words.reading(classifier, is_labelled=False))
        for part in classifier.stream(source, notes, words.sampling_rate):
            windows = classifier.outcomes(part)
            recordings = by_recording(windows, part.numbers, part.recordings.names)
            counts.add(windows, recordings)
            if words.by == "recording":
                file.write(recordings, np.bincount(part.numbers, minlength=len(recordings)))
            else:
                file.write(windows, np.ones(len(windows), dtype=np.int64))
    say([*notes, *source.findings.warnings])
    Console().print(counts.table())
    where = f"{path}, in the current folder; out=FILE names another" if words.out is None else str(path)
    Console().print(f"predictions, a row a {words.by}: {where}", soft_wrap=True, highlight=False, markup=False)
    return {"predictions": str(path.absolute()), "classes": counts.to_dict(), "notes": notes}


def say(notes: list[str]) -> None:
    """Print what was put right or may well be wrong."""
    for note in notes:
        Console().print(f"note: {printable(in_keys(note, 'data'))}", soft_wrap=True, highlight=False, markup=False)
