"""What data ask of a network: outputs, loss, figures. Imports torch and torchmetrics only."""

from nas_lightning.tasks.base import Figures, Task
from nas_lightning.tasks.classification import Classification

__all__ = ["Classification", "Figures", "Task"]
