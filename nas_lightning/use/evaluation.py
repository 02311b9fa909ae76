"""What ``nas-lightning evaluate`` finds, as a record."""

from dataclasses import dataclass

from nas_lightning.use.figures import Share

FILE = "evaluation.json"
"""The name that is proposed for the file."""


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """Of one class: its windows, which share of them is found, and which share of what is taken for it is right."""

    name: str
    windows: int
    recall: Share | None
    precision: Share | None


@dataclass(frozen=True, kw_only=True)
class GroupFigures:
    """Of one group of recordings; its interval holds within the group."""

    name: str
    recordings: int
    windows: int
    accuracy: Share | None


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

    accuracy: Share
    balanced_accuracy: Share
    macro_f1: Share
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
        recordings: how many there are.
        windows: how many were cut of them.
        accuracy: of windows, as in ``metrics.json``.
        balanced_accuracy: the mean recall of the classes that occur.
        macro_f1: of the classes that occur.
        loss: the mean cross entropy.
        of_recordings: the accuracy of the mean scores of each recording.
        accepted: the share of windows whose score is as large as the threshold.
        accuracy_of_accepted: among these.
        classes: in the order of the network.
        groups: by name; None if there are none.
        int8: the 8-bit network; None if there is none, or it was evaluated itself.
        drift: what differs from the training.
    """

    run: str
    data: str
    backend: str
    unit: str
    units: int
    recordings: int
    windows: int
    accuracy: Share
    balanced_accuracy: Share
    macro_f1: Share
    loss: float
    of_recordings: Share
    classes: tuple[ClassFigures, ...]
    drift: Drift
    accepted: float | None = None
    accuracy_of_accepted: float | None = None
    groups: tuple[GroupFigures, ...] | None = None
    int8: Beside | None = None
