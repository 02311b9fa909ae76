"""What data ask of a network: outputs, loss, figures. Imports torch and torchmetrics only."""

from collections.abc import Mapping
from typing import Any

from nas_lightning.tasks.base import Figures, Outputs, Task, best_first
from nas_lightning.tasks.classification import Classes, Classification
from nas_lightning.tasks.details import Details, Mistake, Origins

__all__ = ["Classes", "Classification", "Details", "Figures", "Mistake", "Origins", "Outputs", "Task"]
__all__ += ["best_first", "outputs_of", "task_of"]


def task_of(content: Mapping[str, Any]) -> Task:
    """The task that ``Task.to_dict`` describes.

    Raises:
        TypeError: if the keys are other ones.
        InputError: if a value is not allowed.
    """
    return Classification(**content)


def outputs_of(content: Mapping[str, Any]) -> Outputs:
    """The outputs that ``Outputs.to_dict`` describes, from a file that a stranger may have written.

    Raises:
        ValueError: for keys or values that it does not give.
    """
    return Classes.from_dict(content)
