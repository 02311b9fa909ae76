"""The figures of a network on one split."""

from collections.abc import Iterable

import numpy as np
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score
from torch import Tensor, nn


@torch.no_grad()
def predict(network: nn.Module, loader: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Logits ``[N, K]`` and labels ``[N]`` over a loader, in eval mode on the network's device and in its precision."""
    own = next(network.parameters())
    network.eval()
    parts = [(network(x.to(own.device, own.dtype)).cpu(), y) for x, y in loader]
    return torch.cat([logits for logits, _ in parts]), torch.cat([y for _, y in parts])


def figures(logits: Tensor, y: Tensor) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro F1 and cross entropy of logits ``[N, K]`` against labels ``[N]``.

    Balanced accuracy and macro F1 are means over the classes that occur in ``y``.

    >>> figures(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1]))["accuracy"]
    1.0
    """
    truth, guess = y.numpy(), logits.argmax(1).numpy()
    present = np.unique(truth)
    return {
        "accuracy": float(accuracy_score(truth, guess)),
        "balanced_accuracy": float(recall_score(truth, guess, labels=present, average="macro", zero_division=0)),
        "macro_f1": float(f1_score(truth, guess, labels=present, average="macro", zero_division=0)),
        "loss": float(nn.functional.cross_entropy(logits, y)),
    }


def never_predicted(logits: Tensor, y: Tensor) -> list[int]:
    """Classes that occur in ``y`` and that no sample is taken for.

    >>> never_predicted(torch.tensor([[2.0, 0.0, 1.0], [3.0, 0.0, 1.0]]), torch.tensor([0, 1]))
    [1]
    """
    counts = confusion(logits, y)
    return np.flatnonzero((counts.sum(1) > 0) & (counts.sum(0) == 0)).tolist()


def confusion(logits: Tensor, y: Tensor) -> np.ndarray:
    """Counts ``[K, K]``: rows the true class, columns the predicted one."""
    return confusion_matrix(y.numpy(), logits.argmax(1).numpy(), labels=range(logits.shape[1]))
