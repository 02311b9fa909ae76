"""The callback that notices when a search collapses."""

import logging
import math
from collections.abc import Collection, Iterable
from typing import Any

import lightning as L
import torch

from nas_lightning.errors import InputError
from nas_lightning.search.arch_step import Batch
from nas_lightning.search.derivation import judge
from nas_lightning.search.module import SearchModule
from nas_lightning.space.base import Decisions
from nas_lightning.space.choices import num_free, one_hot

log = logging.getLogger("nas_lightning")

_CHANCE = 0.05
_PATIENCE = 2


def least_of_a_collapse(tables: Collection[Decisions]) -> int:
    """The least number of decisions for a skip or a pool that is too large to be chance.

    >>> from nas_lightning.space.cells.genotype import Genotypes
    >>> least_of_a_collapse(Genotypes(("none", "skip_connect", "conv_bn_relu_3x1"), 4).decisions.values())
    7
    """
    shares = [
        len(table.free) / (len(table.options) - (table.nothing is not None)) for table in tables for _ in table.of
    ]
    num, share = len(shares), sum(shares) / len(shares)
    from scipy import stats  # at need: its import takes long

    return next((n for n in range(1, num) if stats.binom.sf(n - 1, num, share) <= _CHANCE), num)


class CollapseAlarm(L.Callback):
    """Warns when nearly all nodes keep a skip or a pool, as gradient searches tend to (DARTS-, R-DARTS, P-DARTS).

    Each epoch it logs the share of the nodes of either kind of cell that would keep an operation without parameters
    (``search/free_share_KIND``), the entropy of the op weights as a share of the largest (``search/rel_entropy_KIND``),
    and by how much the reward of the supernet on ``val`` is above that of the network that would be derived, with the
    supernet's weights (``search/gap``). A collapse is, after the warm-up and in two epochs in a row, so many such nodes
    of both kinds of cell that by chance alone there were as many in at most 5 of 100 networks, or all of them.

    Args:
        answer: ``warn`` says so once; ``switch`` also lets at most half of the nodes of a cell keep such an operation
            from then on: of those that would, the strongest (P-DARTS, arXiv 1904.12760, section 3.3).
        val_batches: to judge the derived network; None for those of the Trainer.
    """

    def __init__(self, answer: str = "warn", val_batches: Iterable[Batch] | None = None) -> None:
        self.answer, self.val_batches = answer, val_batches
        self.num_in_a_row, self.collapsed_at = 0, 0

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Look at the alphas, and at the network that they stand for."""
        if not isinstance(pl_module, SearchModule):
            raise InputError(f"CollapseAlarm: found a {type(pl_module).__name__}; allowed: a SearchModule")
        op_weights, space = pl_module.op_weights(), pl_module.space
        architecture = pl_module.found().architecture
        free = num_free(architecture, space)
        for name, table in space.decisions.items():
            weights, most = op_weights[name] / op_weights[name].sum(1, keepdim=True), math.log(len(table.options))
            entropy = torch.special.entr(weights).sum(1).mean()
            pl_module.log(f"search/free_share_{name}", free[name] / len(table.of))
            pl_module.log(f"search/rel_entropy_{name}", entropy / most if most else 0.0)
        hot = {name: weights.to(op_weights[name]) for name, weights in one_hot(architecture, space).items()}
        batches = trainer.val_dataloaders if self.val_batches is None else self.val_batches
        if batches is None:
            raise InputError("CollapseAlarm: found no batches of val; allowed: val_batches, or a val_dataloader")
        reward, _ = judge(pl_module.supernet, hot, batches)
        of_supernet = trainer.callback_metrics.get(f"search/val_{pl_module.supernet.task.monitor}")
        if of_supernet is not None:
            pl_module.log("search/gap", float(of_supernet) - reward)
        learns = pl_module.arch_step is not None
        if learns and pl_module.progress >= pl_module.strategy.warmup:
            self._look(pl_module, sum(free.values()))

    def _look(self, module: SearchModule, num_free: int) -> None:
        tables = module.space.decisions.values()
        least, num_nodes = least_of_a_collapse(tables), sum(len(table.of) for table in tables)
        self.num_in_a_row = self.num_in_a_row + 1 if num_free >= least else 0
        if self.num_in_a_row < _PATIENCE or self.collapsed_at:
            return
        self.collapsed_at = module.current_epoch + 1
        at = f"search: collapse in epoch {self.collapsed_at}: {num_free} of {num_nodes} nodes keep a skip or a pool"
        if self.answer == "switch":
            module.max_free = max(len(table.of) for table in tables) // 2
            log.warning("%s; from now on at most %d nodes of a cell may (search.on_collapse)", at, module.max_free)
        else:
            log.warning("%s; search.on_collapse=switch limits them, or choose another strategy (search=...)", at)

    def state_dict(self) -> dict[str, Any]:
        """What was seen so far goes into the checkpoint."""
        return {"num_in_a_row": self.num_in_a_row, "collapsed_at": self.collapsed_at}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.num_in_a_row, self.collapsed_at = state_dict["num_in_a_row"], state_dict["collapsed_at"]
