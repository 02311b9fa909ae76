"""Classification: each sample is of one of K classes."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from nas_lightning.errors import InputError, brief
from nas_lightning.tasks.base import Figures, InC
from nas_lightning.tasks.details import Details, Mistake, Origins, details_of

METRICS = ("accuracy", "balanced_accuracy", "macro_f1")
"""All are from 0 to 1, and more is better."""

CLASS_WEIGHTS = ("none", "balanced", "sqrt")
"""How classes count in the loss, see ``weights_of``."""

_MOST = 1 << 20
_MOST_NAMES = 1 << 16
_LONGEST_NAME = 10_000


@dataclass(frozen=True)
class Classes:
    """The classes of which each output is the logit of one, by name."""

    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """One logit a class."""
        return len(self.names)

    @property
    def words(self) -> tuple[str, ...]:
        """The names."""
        return self.names

    @property
    def in_c(self) -> InC:
        """The class of the largest logit is the result."""
        return InC(
            what="a classifier of time series",
            count="MODEL_CLASSES",
            macros={"CLASS_NAMES": self.names},
            result="the class is the largest",
            comment="the class is the largest logit",
            example=_EXAMPLE,
            word="classes",
        )

    def to_dict(self) -> dict[str, Any]:
        """The key ``class_names``."""
        return {"class_names": list(self.names)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Classes":
        """The inverse of ``to_dict``, from a file that a stranger may have written.

        Raises:
            ValueError: for anything that ``to_dict`` does not give.
        """
        if content.keys() != {"class_names"}:
            raise ValueError(f"its keys are not class_names, but {', '.join(map(repr, content))[:100]}")
        names = content["class_names"]
        is_list = isinstance(names, list | tuple) and len(names) <= _MOST_NAMES
        if not is_list or not all(isinstance(name, str) and len(name) <= _LONGEST_NAME for name in names):
            raise ValueError(f"class_names: {str(names)[:100]!r}")
        return cls(tuple(names))


_EXAMPLE = """\
static const char *const names[] = MODEL_CLASS_NAMES;
int best = 0;
for (int k = 1; k < MODEL_CLASSES; ++k) {
    best = logits[k] > logits[best] ? k : best;
}
printf("recording %d: %s%s\\n", i, names[best], differs(EXPECTED[i]) ? "  WRONG LOGITS" : "");"""


@dataclass(frozen=True)
class Classification:
    """Samples ``[B, in_channels, length]`` to logits ``[B, num_classes]``, which are held against labels ``[B]``.

    ``names`` of the classes, where they are known, stand in the files of a run; they do not tell tasks apart.

    >>> task = Classification(in_channels=1, length=8, num_classes=2)
    >>> task.figures(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))["accuracy"]
    1.0

    Raises:
        InputError: if one of them is no whole number of 1 or more.
    """

    in_channels: int
    length: int
    num_classes: int
    names: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, count in self.to_dict().items():
            if type(count) is not int or not 1 <= count <= _MOST:
                raise InputError(f"task: {name} is {count!r}; allowed: whole numbers from 1 to {_MOST:,}")
        if self.names and len(self.names) != self.num_classes:
            raise InputError(
                f"task: found {len(self.names)} names for {self.num_classes} classes; allowed: as many, or none"
            )

    @property
    def num_outputs(self) -> int:
        """One logit a class."""
        return self.num_classes

    @property
    def outputs(self) -> Classes:
        """The classes."""
        return Classes(self.names or tuple(map(str, range(self.num_classes))))

    @property
    def decides(self) -> bool:
        """The largest logit is that of the class."""
        return True

    @property
    def monitor(self) -> str:
        """Accuracy."""
        return METRICS[0]

    @property
    def summary(self) -> tuple[str, str]:
        """Accuracy, and what shows that a rare class is never found."""
        return "accuracy", "macro_f1"

    def to_dict(self) -> dict[str, int]:
        """The shape of a sample, and the number of classes."""
        return {"in_channels": self.in_channels, "length": self.length, "num_classes": self.num_classes}

    def head(self, channels: int) -> nn.Linear:
        """A linear layer to the logits."""
        return nn.Linear(channels, self.num_classes)

    def loss(self, outputs: Tensor, target: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
        """Cross entropy."""
        return nn.functional.cross_entropy(outputs, target, reduction=reduction)

    def training_loss(self, target: Tensor, class_weights: str, label_smoothing: float) -> "ClassificationLoss":
        """The loss of a final training.

        Args:
            target: the class of each sample of ``train``, ``[N]``.
            class_weights: one of ``CLASS_WEIGHTS``.
            label_smoothing: the share of a label that is spread over all classes.
        """
        return ClassificationLoss(
            weights_of(target.bincount(minlength=self.num_classes), class_weights), label_smoothing
        )

    def rewards(self, outputs: Tensor, target: Tensor) -> Tensor:
        """1 where the class of the largest logit is right, else 0."""
        return (outputs.argmax(1) == target).float()

    def metric(self) -> "ClassificationMetric":
        """All of ``METRICS``."""
        return ClassificationMetric(self.num_classes)

    def figures(self, outputs: Tensor, target: Tensor) -> Figures:
        """All of ``METRICS``, and the mean cross entropy."""
        metric = self.metric()
        metric.update(outputs, target)
        return metric.compute() | {"loss": float(self.loss(outputs, target))}

    def details(self, outputs: Tensor, target: Tensor, origins: Origins | None) -> Details:
        """Figures of each class, the confusion matrix, intervals and the recordings that are wrong."""
        return details_of(target.numpy(), outputs.argmax(1).numpy(), self.outputs.names, origins)

    def mistakes(self, outputs: Tensor, target: Tensor, most: int) -> list[Mistake]:
        """Those with the largest softmax of a wrong class."""
        scores, taken = outputs.double().softmax(1).max(1)
        wrong = torch.nonzero(taken != target).flatten()
        first = wrong[scores[wrong].argsort(descending=True, stable=True)[:most]].tolist()
        names = self.outputs.names
        return [Mistake(i, names[int(target[i])], names[int(taken[i])], float(scores[i])) for i in first]

    def check_figures(self, figures: Figures) -> None:
        """All of ``METRICS`` are shares, and there is a loss."""
        if not all(0 <= figures.get(name, -1.0) <= 1 for name in METRICS) or "loss" not in figures:
            raise ValueError("a figure is none from 0 to 1")

    def worst_figures(self) -> Figures:
        """No sample is right."""
        return dict.fromkeys(METRICS, 0.0) | {"loss": sys.float_info.max}

    def deviation(self, value: float, count: int) -> float:
        """That of a binomial share; of 0 and 1 that of one sample in all."""
        return math.sqrt(max(value * (1 - value), 1 / count) / count)

    def doubts(self, outputs: Tensor, target: Tensor) -> list[str]:
        """Classes that no sample is taken for."""
        if not (missed := [self.outputs.names[label] for label in never_predicted(outputs, target)]):
            return []
        return [
            f"the network takes no sample for {brief(', '.join(missed))}, although there are some; accuracy does not "
            "show it, balanced accuracy and macro F1 do; `class_weights`=balanced makes rare classes count"
        ]


class ClassificationMetric(MulticlassConfusionMatrix):
    """Accuracy, balanced accuracy and macro F1 from the counts of all batches, in float64.

    Balanced accuracy and macro F1 are means over the classes that occur among the labels.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(max(2, num_classes), validate_args=False)  # one class alone is a case of its own there

    def compute(self) -> dict[str, float]:  # type: ignore[override]
        """Each metric by its name."""
        counts = self.confmat.cpu().double().numpy()  # [K, K]: rows the true class, columns the predicted one
        occurs = counts.sum(1) > 0
        right, labelled, predicted = counts.diagonal()[occurs], counts.sum(1)[occurs], counts.sum(0)[occurs]
        found = right.sum() / counts.sum(), (right / labelled).mean(), (2 * right / (labelled + predicted)).mean()
        return dict(zip(METRICS, map(float, found), strict=True))


def confusion(logits: Tensor, y: Tensor) -> Tensor:
    """Counts ``[K, K]``: rows the true class, columns the predicted one."""
    count = logits.shape[1]
    return (y * count + logits.argmax(1)).bincount(minlength=count * count).reshape(count, count)


def never_predicted(logits: Tensor, y: Tensor) -> list[int]:
    """Classes that occur in ``y`` and that no sample is taken for.

    >>> never_predicted(torch.tensor([[2.0, 0.0, 1.0], [3.0, 0.0, 1.0]]), torch.tensor([0, 1]))
    [1]
    """
    counts = confusion(logits, y)
    missed: list[int] = torch.nonzero((counts.sum(1) > 0) & (counts.sum(0) == 0)).flatten().tolist()
    return missed


def weights_of(counts: Tensor, how: str) -> Tensor | None:
    """Weights of classes ``[K]`` in the loss whose mean over all samples is 1; None for ``none``.

    >>> weights_of(torch.tensor([30, 10]), "balanced")
    tensor([0.6667, 2.0000])

    Args:
        counts: samples of each class, ``[K]``.
        how: ``balanced``: a class counts the same however many samples it has; ``sqrt``: half way, in proportion to the
            square root of their number.
    """
    if how == "none":
        return None
    weights = counts.float() ** (-1.0 if how == "balanced" else -0.5)
    return weights * counts.sum() / (weights * counts).sum()


class ClassificationLoss(nn.Module):
    """The mean cross entropy of logits ``[N, K]`` and labels ``[N]``, each sample with the weight of its class.

    ``torch.nn.functional.cross_entropy`` gives its weights to the classes of a smoothed label, too: then the rarest
    class gets the larger part of every label, and a network learns to name no other.

    Args:
        weights: of the classes, ``[K]``; None for 1.
        label_smoothing: the share of a label that is spread over all classes, in training only.
    """

    weights: Tensor | None

    def __init__(self, weights: Tensor | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, y: Tensor) -> Tensor:
        """The loss, a scalar."""
        options: dict[str, Any] = {"label_smoothing": self.label_smoothing if self.training else 0.0}
        if self.weights is None:
            return nn.functional.cross_entropy(logits, y, **options)
        return (self.weights[y] * nn.functional.cross_entropy(logits, y, reduction="none", **options)).mean()
