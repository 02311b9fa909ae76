"""The strategies of ``conf/search`` in Python: each takes other arguments of ``Strategy`` in the place of its own.

What each does, and where it is from: docs/search.md.
"""

from typing import Any

from nas_lightning.search.arch_step import PolicyGradient, Unrolled
from nas_lightning.search.derivation import Perturbation, Ranked, Uniform
from nas_lightning.search.penalties import BetaDecay, ConcentrationAnchor
from nas_lightning.search.relaxation import (
    AuxiliarySkip,
    BalancedPath,
    Dirichlet,
    EdgeNormalised,
    GumbelPath,
    NodeSoftmax,
    UniformPath,
)
from nas_lightning.search.strategy import Strategy


def _with(others: dict[str, Any], **own: Any) -> Strategy:
    return Strategy(**own | others)


def darts(**others: Any) -> Strategy:
    """Softmax over the operations of each edge, first-order steps (Liu et al., arXiv 1806.09055).

    >>> darts(warmup=0.5).warmup
    0.5
    """
    return Strategy(**others)


def darts_unrolled(**others: Any) -> Strategy:
    """The same with exact second-order steps of the alphas."""
    return _with(others, name="darts_unrolled", arch_step=Unrolled())


def darts_minus(**others: Any) -> Strategy:
    """An auxiliary skip that fades (Chu et al., arXiv 2009.01027)."""
    return _with(others, name="darts_minus", relaxation=AuxiliarySkip())


def darts_pt(**others: Any) -> Strategy:
    """Operations by what their removal costs (Wang et al., arXiv 2108.04392)."""
    return _with(others, name="darts_pt", derivation=Perturbation())


def beta_darts(**others: Any) -> Strategy:
    """Op weights that are kept from growing apart (Ye et al., arXiv 2203.01665)."""
    return _with(others, name="beta_darts", regularisers={"beta": BetaDecay()})


def pc_darts(**others: Any) -> Strategy:
    """A quarter of the channels, and edges with weights of their own (Xu et al., arXiv 1907.05737)."""
    return _with(others, name="pc_darts", relaxation=EdgeNormalised(), warmup=0.3, partial_channels=4)


def drnas(**others: Any) -> Strategy:
    """Op weights drawn from Dirichlet distributions (Chen et al., arXiv 2006.10355)."""
    return _with(others, name="drnas", relaxation=Dirichlet(), regularisers={"anchor": ConcentrationAnchor()})


def gdas(**others: Any) -> Strategy:
    """One path a step, by hard Gumbel softmax (Dong and Yang, arXiv 1910.04465)."""
    return _with(others, name="gdas", relaxation=GumbelPath())


def tunas(**others: Any) -> Strategy:
    """One path a step, by a policy gradient (Bender et al., arXiv 2008.06120)."""
    return _with(others, name="tunas", relaxation=NodeSoftmax(), arch_step=PolicyGradient(), warmup=0.25)


def random_ws(**others: Any) -> Strategy:
    """Random networks, ranked with shared weights (Li and Talwalkar, arXiv 1902.07638)."""
    return _with(others, name="random_ws", relaxation=UniformPath(), arch_step=None, derivation=Ranked())


def balanced_one_shot(**others: Any) -> Strategy:
    """The same, trained in proportion to the parameters (Luo et al., arXiv 1909.10815)."""
    return random_ws(**{"name": "balanced_one_shot", "relaxation": BalancedPath()} | others)


def random(**others: Any) -> Strategy:
    """Random networks within the budget; ``RandomSearch`` finds the like without a supernet."""
    return _with(others, name="random", arch_step=None, derivation=Uniform())
