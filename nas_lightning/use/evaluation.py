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
        accepted: the share of the windows that are taken for one of the classes.
        accepted_int8: the same of the 8-bit network; None if there is none.
    """

    label: str
    recordings: int
    windows: int
    accepted: Figure
    accepted_int8: Figure | None = None


@dataclass(frozen=True, kw_only=True)
class GroupFigures:
    """Of one group of recordings; its interval holds within the group."""

    name: str
    recordings: int
    windows: int
    accuracy: Figure | None


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
    """The 8-bit network: its figures, and the share of windows that both networks take for the same class."""

    accuracy: Figure
    balanced_accuracy: Figure
    macro_f1: Figure
    loss: float
    agreement: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The content of ``evaluation.json``; what is None is left out.

    Attributes:
        run: the folder of the run, or its archive.
        data: the path of the recordings.
        backend: what computed the network.
        unit: ``group`` or ``recording``: windows of one are not independent, and intervals count them so.
        units: how many there are.
        recordings: of the classes; all figures but those of ``no_class`` and ``drift`` are of these.
        windows: how many were cut of them.
        accuracy: of windows, as in ``metrics.json``.
        balanced_accuracy: the mean recall of the classes that occur.
        macro_f1: of the classes that occur.
        loss: the mean cross entropy.
        of_recordings: the accuracy of the mean scores of each recording.
        accepted: the share of windows that are taken for a class, by the threshold and several windows together.
        accuracy_of_accepted: among these.
        classes: in the order of the network; a sample is a window.
        groups: by name; None if there are none.
        int8: the 8-bit network; None if there is none, or it was evaluated itself.
        drift: what differs from the training.
        no_class: recordings of no class; None if there are none.
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
