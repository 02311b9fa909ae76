"""What a step of the alphas works with, for tests: a choice that is given, and settled op weights."""

import torch

from nas_lightning.search.arch_step import AlphaLoss
from nas_lightning.search.moment import Moment
from nas_lightning.search.penalties import Objective


class Given:
    """A relaxation that gives one choice.

    Args:
        choice: what the supernet computes with.
        settled: from the alphas to their op weights.
    """

    def __init__(self, choice, settled):
        self.choice, self.settled_of = choice, settled

    def __call__(self, alphas, moment):
        return self.choice

    def settled(self, alphas, space):
        return self.settled_of(alphas)


def alpha_loss(supernet, relaxation, space, penalties=(), regularisers=(), sgd=None, moment=None, objective=None):
    """The problem of one step, half way through a search."""
    sgd = sgd or torch.optim.SGD(supernet.weights().values(), 0.1)
    moment, objective = moment or Moment(0.5, torch.Generator(), space), objective or Objective(space)
    return AlphaLoss(supernet, supernet, relaxation, penalties, regularisers, objective, moment, sgd)
