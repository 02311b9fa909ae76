"""What ``nas-lightning evaluate`` finds, as a record."""

from dataclasses import dataclass

from nas_lightning.tasks.details import ClassDetails
from nas_lightning.use.figures import Figure

FILE = "evaluation.json"
"""The name that is proposed for the file."""


@dataclass(frozen=True, kw_only=True)
class NoClass:
    """What is done with recordings of no class.

    Attributes:
        label: of them.
        recordings: how many there are.
        windows: how many were cut of them.
        accepted: the share of the windows whose own score is accepted.
        accepted_int8: the same of the 8-bit network; None if there is none.
        decided: the share of the windows at which the decision of the run is one of the classes; None as there.
        decided_int8: the same of the 8-bit network.
    """

    label: str
    recordings: int
    windows: int
    accepted: Figure
    accepted_int8: Figure | None = None
    decided: Figure | None = None
    decided_int8: Figure | None = None


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What is delivered: the decision of the run, by threshold and several windows together, as its C makes it.

    No class, which is decided where the threshold is not reached, is wrong for a recording of a class.

    Attributes:
        accuracy: of windows, as in ``postprocess`` of ``metrics.json``.
        balanced_accuracy: the mean recall of the classes that occur.
        macro_f1: of the classes that occur.
        of_recordings: the accuracy of recordings, as ``predict`` decides on them.
        accepted: the share of windows at which a class is decided on; None if the run has no threshold.
        accuracy_of_accepted: among these.
        classes: in the order of the network; a sample is a window.
    """

    accuracy: Figure
    balanced_accuracy: Figure
    macro_f1: Figure
    of_recordings: Figure
    accepted: Figure | None
    accuracy_of_accepted: Figure | None
    classes: tuple[ClassDetails, ...]


@dataclass(frozen=True, kw_only=True)
class GroupFigures:
    """Of one group of recordings; its intervals hold within the group.

    Attributes:
        name: of the group.
        recordings: of it.
        windows: of these.
        accuracy: of windows alone; None if no recording is of a class.
        decided: of what is delivered; None where that is the same by construction.
    """

    name: str
    recordings: int
    windows: int
    accuracy: Figure | None
    decided: Figure | None = None


@dataclass(frozen=True, kw_only=True)
class ChannelDrift:
    """Of one channel: the range here and in training, and the share of rows that lie outside of the latter."""

    name: str
    least: float
    most: float
    trained_least: float
    trained_most: float
    outside: float


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What differs from the recordings of the training.

    Attributes:
        channels: in the order of the network.
        rates: the least and the largest sampling rate that the recordings say; None if none does.
        trained_rates: those of the training.
        absent: classes of the network that no recording has.
    """

    channels: tuple[ChannelDrift, ...]
    rates: tuple[float, float] | None
    trained_rates: tuple[float, float] | None
    absent: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The 8-bit network: its figures as in ``Evaluation``, and the share of windows of one class by both networks."""

    accuracy: Figure
    balanced_accuracy: Figure
    macro_f1: Figure
    loss: float
    of_recordings: Figure
    agreement: float
    accepted: float | None = None
    accuracy_of_accepted: float | None = None
    decided: Decided | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The content of ``evaluation.json``; what is None is left out.

    Figures outside of ``decided`` are of each window alone, as in the sections ``test``, ``test_details`` and
    ``confidence`` of ``metrics.json``: its class is that of the largest logit.

    Attributes:
        run: the folder of the run, or its archive.
        data: the path of the recordings.
        backend: what computed the network.
        unit: ``group`` or ``recording``: windows of one are not independent, and intervals count them so.
        units: how many there are.
        recordings: of the classes; all figures but those of ``no_class`` and ``drift`` are of these.
        windows: how many were cut of them.
        accuracy: of windows.
        balanced_accuracy: the mean recall of the classes that occur.
        macro_f1: of the classes that occur.
        loss: the mean cross entropy at temperature 1.
        of_recordings: the accuracy of the mean scores of each recording.
        accepted: the share of windows whose own score is accepted; None if the run has no threshold.
        accuracy_of_accepted: among these.
        classes: in the order of the network; a sample is a window.
        groups: by name; None if there are none.
        int8: the 8-bit network; None if there is none, or it was evaluated itself.
        drift: what differs from the training.
        no_class: recordings of no class; None if there are none.
        decision: what the run decides by beyond the largest logit, in words; None if there is nothing.
        decided: the figures of that decision, which is delivered; None as there.
    """

    run: str
    data: str
    backend: str
    unit: str
    units: int
    recordings: int
    windows: int
    accuracy: Figure
    balanced_accuracy: Figure
    macro_f1: Figure
    loss: float
    of_recordings: Figure
    classes: tuple[ClassDetails, ...]
    drift: Drift
    accepted: float | None = None
    accuracy_of_accepted: float | None = None
    groups: tuple[GroupFigures, ...] | None = None
    int8: Beside | None = None
    no_class: NoClass | None = None
    decision: str | None = None
    decided: Decided | None = None
