"""Sizes that are chosen: that which uses a budget (``nas_model_size=auto_cells``), and wide ones (``space.shape``)."""

from collections.abc import Iterable

from nas_lightning.cost.exact import ADDITIVE, Numbers
from nas_lightning.errors import InputError
from nas_lightning.space.base import Limits
from nas_lightning.space.cells.genotype import KINDS
from nas_lightning.space.cells.projection import check_feasible, is_feasible
from nas_lightning.space.cells.size import Size, rows_into
from nas_lightning.space.cells.tables import SpaceCost
from nas_lightning.tasks import Task

_NEAR = 0.6  # of the largest use of the budget: sizes above it are taken for equally good uses


def choose_size(
    candidates: Iterable[Size], task: Task, ops: tuple[str, ...], numbers: Numbers, limits: Limits
) -> tuple[Size, float]:
    """The size whose average network uses the budget best without exceeding it, and the share that it uses.

    The share of a size is the largest, over the limits, of the average cost of its networks to the limit; RAM is that
    of a network without identities. Of the sizes with a share up to 1 those above 0.6 of the largest such share
    compete, and the widest of them is taken, then the deepest, because depth does not help networks one channel wide.
    If all are above 1, the one with the smallest share that still has a network within the budget is taken.

    Args:
        candidates: the sizes to choose from.
        task: input channels, length and classes.
        ops: the operations.
        numbers: bits and allowances.
        limits: at least one.

    Raises:
        InputError: if the data are too short for every size.
        BudgetError: if no network of any size meets the limits.
    """
    fitting = [size for size in candidates if task.length > size.total_stride]
    if not fitting:
        raise InputError(
            f"data: the samples have {task.length} time steps, too few for any of the sizes to choose from"
        )
    spaces = [SpaceCost(size, task, ops, numbers) for size in fitting]
    shares = [(_share(space, limits), space.size) for space in spaces if is_feasible(space, limits)]
    if not shares:
        check_feasible(min(spaces, key=lambda space: space.fixed["params"]), limits)
    within = [pair for pair in shares if pair[0] <= 1]
    if not within:
        share, size = min(shares, key=lambda pair: pair[0])
        return size, share
    best = max(share for share, _ in within)
    near = [pair for pair in within if pair[0] >= _NEAR * best]
    share, size = max(near, key=lambda pair: (pair[1].init_channels, pair[1].layers))
    return size, share


def nearest_size(size: Size, wider: Iterable[Size], task: Task, ops: tuple[str, ...], numbers: Numbers) -> Size:
    """Of some ever wider sizes the one whose average network has about the parameters of that of ``size``.

    About: by the ratio of both.

    Args:
        size: whose parameters are to be met.
        wider: from narrow to wide, and in the end wider than ``size``.
        task: input channels, length and classes.
        ops: the operations.
        numbers: bits and allowances.
    """
    wanted = _average(SpaceCost(size, task, ops, numbers), "params")
    ratios: dict[Size, float] = {}
    for each in wider:
        if each in ratios:
            continue
        found = _average(SpaceCost(each, task, ops, numbers), "params")
        ratios[each] = max(found / wanted, wanted / found)
        if found >= wanted:
            break
    return min(ratios, key=lambda each: ratios[each])


def _share(space_cost: SpaceCost, limits: Limits) -> float:
    found = {measure: _average(space_cost, measure) for measure in ADDITIVE}
    found["ram_bytes"] = space_cost.ram_without_identities()
    return max(found[measure] / max(limit, 1) for measure, limit in limits.items())


def _average(space_cost: SpaceCost, measure: str) -> float:
    """The average of an additive measure over all networks of a space in which every node is live.

    In flash it is a bound: as if no two nodes shared a function.
    """
    built = [column for column, op in enumerate(space_cost.ops) if op != "none"]
    nodes, tables = (
        range(1, space_cost.size.nodes_per_layer + 1),
        (space_cost.with_functions(measure, k) for k in KINDS),
    )
    means = [float(table[rows_into(node)][:, built].mean()) for table in tables for node in nodes]
    return space_cost.fixed[measure] + sum(means)
