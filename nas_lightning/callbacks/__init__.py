"""Lightning callbacks of a run: checkpoints, the genotype of each epoch, the second run, pictures, the progress bar."""

from nas_lightning.callbacks.checkpoint import BestCheckpoint, NewestCheckpoint
from nas_lightning.callbacks.collapse import CollapseAlarm
from nas_lightning.callbacks.early_end import EarlyEnd
from nas_lightning.callbacks.genotype import GenotypeHistory, SecondRun
from nas_lightning.callbacks.history import FigureHistory
from nas_lightning.callbacks.pictures import AlphaPictures
from nas_lightning.callbacks.progress import StageBar

__all__ = ["AlphaPictures", "BestCheckpoint", "CollapseAlarm", "EarlyEnd", "FigureHistory", "GenotypeHistory"]
__all__ += ["NewestCheckpoint", "SecondRun", "StageBar"]
