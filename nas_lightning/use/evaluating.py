"""``nas-lightning evaluate RUN data``: how good a network is on recordings that it was not trained on."""

from pathlib import Path

import numpy as np

from nas_lightning.data.preparation import span
from nas_lightning.data.readers import open_source
from nas_lightning.data.reading import Reading
from nas_lightning.errors import InputError, brief
from nas_lightning.files import plain, write_json
from nas_lightning.runs.build import keyed
from nas_lightning.tasks.decisions import UNKNOWN
from nas_lightning.use import measuring
from nas_lightning.use.asked import Asked
from nas_lightning.use.classifier import Classifier
from nas_lightning.use.evaluation import Beside, Drift, Evaluation, NoClass
from nas_lightning.use.evaluation_table import print_evaluation
from nas_lightning.use.figures import Counts
from nas_lightning.use.measuring import Units
from nas_lightning.use.outcomes import by_recording
from nas_lightning.use.predicting import say
from nas_lightning.use.tally import Groups, Labels, Ranges, Tally


def evaluate(words: Asked, config_dir: Path | None = None) -> Evaluation:
    """Hold the classes of recordings against what the network says, print it, and write it if a file is named.

    Args:
        words: of the command.
        config_dir: see ``load``.

    Raises:
        InputError: for recordings that the network was not trained for, or a label that it does not know.
        OSError: if the file cannot be written.
    """
    classifier, notes = words.classifier(config_dir), list[str]()
    with keyed("data"):
        found = _Evaluated(words, classifier, _int8(words, config_dir)).all(notes)
    if words.out is not None:
        write_json(words.out, plain(found))
    say(notes)
    print_evaluation(found)
    return found


def _int8(words: Asked, config_dir: Path | None) -> Classifier | None:
    """The 8-bit network of the run, to stand beside; None if there is none, or it is what is evaluated."""
    if words.backend == "int8":
        return None
    try:
        return words.classifier(config_dir, "int8")
    except InputError:
        return None


class _Evaluated:
    """A pass over all recordings.

    Args:
        words: of the command.
        classifier: that is evaluated.
        int8: that stands beside it.
    """

    def __init__(self, words: Asked, classifier: Classifier, int8: Classifier | None) -> None:
        self.words, self.classifier, self.int8 = words, classifier, int8
        self.tally, self.beside = Tally(classifier.classes), Tally(classifier.classes)
        self.pattern = None if words.says_groups else classifier.prepared.group_pattern
        self.groups, self.ranges = Groups(self.pattern), Ranges(classifier.about)
        self.rates: list[np.ndarray] = []
        self.alike = 0
        self.unknown: str | None = None

    def all(self, notes: list[str]) -> Evaluation:
        """Look at all recordings, and say what was found."""
        words, classifier = self.words, self.classifier
        reading = words.reading(classifier, is_labelled=True)
        self.unknown = reading.unknown
        labels = Labels(classifier.classes, reading.similar_labels == "merge", self.unknown)
        source = open_source(None, words.data, reading)
        for part in classifier.stream(source, notes, words.sampling_rate, has_groups=words.says_groups):
            truth = labels.numbers(part.recordings)
            windows = classifier.outcomes(part)
            names = part.recordings.names
            self.tally.add(part, truth, windows, by_recording(windows, part.numbers, names))
            if self.int8 is not None:
                other = classifier.outcomes(part, self.int8.network)
                self.beside.add(part, truth, other, by_recording(other, part.numbers, names))
                are_alike = (other.numbers == windows.numbers)[truth[part.numbers] != UNKNOWN]
                self.alike += int(are_alike.sum())
            self.groups.add(part.recordings)
            self.ranges.add(part)
            self.rates.append(part.recordings.sampling_rates)
        notes += source.findings.warnings
        notes += self._of_groups(reading)
        return self._evaluation()

    def _of_groups(self, reading: Reading) -> list[str]:
        """What to say where the groups of the training are not there."""
        why, column = None, reading.columns.get("group")
        if self.groups.without is not None:
            why = (
                f"`group_pattern` of the training, {self.pattern!r}, finds nothing in the name of {self.groups.without}"
            )
        elif column not in (None, "group") and "group" in reading.may_lack and not self.groups.are_known:
            why = f"`columns.group` of the training, {column!r}, is not there"
        return [] if why is None else [f"{brief(why)}, so intervals count recordings"]

    def _evaluation(self) -> Evaluation:
        words, classifier, tally = self.words, self.classifier, self.tally
        if not tally.are_known.any():
            label = brief(str(self.unknown))
            raise InputError(f"{words.data}: has recordings of {label} alone; allowed: such of a class beside them")
        units, decision = Units(*self.groups.of(tally.are_known)), classifier.decision
        counts = tally.alone.counts
        by_unit = units.of(counts)
        return Evaluation(
            run=str(words.run),
            data=words.data,
            backend=words.backend,
            unit=units.word,
            units=len(by_unit.true),
            recordings=len(counts.true),
            windows=int(counts.true.sum()),
            **measuring.alone(tally, units, decision),
            classes=tuple(by_unit.of_class(number, name) for number, name in enumerate(classifier.classes)),
            drift=self._drift(counts),
            groups=measuring.by_group(tally, units, decision),
            int8=None if self.int8 is None else self._of_int8(units),
            no_class=self._of_no_class(),
            decision=measuring.in_words(decision),
            decided=measuring.decided(tally, units, decision, classifier.classes),
        )

    def _of_no_class(self) -> NoClass | None:
        groups, _ = self.groups.of(~self.tally.are_known)
        accepted = self.tally.alone.accepted_of_no_class(groups)
        if accepted is None:
            return None
        has_int8, decides = self.int8 is not None, self.classifier.decision.has_code
        no_class = self.tally.alone.no_class
        return NoClass(
            label=str(self.unknown),
            recordings=no_class.shape[1],
            windows=int(no_class[1].sum()),
            accepted=accepted,
            accepted_int8=self.beside.alone.accepted_of_no_class(groups) if has_int8 else None,
            decided=self.tally.decided.accepted_of_no_class(groups) if decides else None,
            decided_int8=self.beside.decided.accepted_of_no_class(groups) if decides and has_int8 else None,
        )

    def _of_int8(self, units: Units) -> Beside:
        decision, windows = self.classifier.decision, int(self.tally.alone.counts.true.sum())
        return Beside(
            **measuring.alone(self.beside, units, decision),
            agreement=self.alike / windows,
            decided=measuring.decided(self.beside, units, decision, self.classifier.classes),
        )

    def _drift(self, counts: Counts) -> Drift:
        absent = [name for name, count in zip(self.classifier.classes, counts.true.sum(0), strict=True) if not count]
        trained = self.classifier.prepared.said_rates
        return Drift(
            channels=self.ranges.drift(),
            rates=span(np.concatenate(self.rates)),
            trained_rates=trained,
            absent=tuple(absent),
        )
