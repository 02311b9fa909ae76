"""What the networks of a run cost, held against its budget."""

from dataclasses import asdict, replace

from torch import nn

from nas_lightning.cost.budget import milliseconds
from nas_lightning.cost.code import core_named
from nas_lightning.cost.decision import decision_cost
from nas_lightning.cost.exact import cost_of
from nas_lightning.cost.npu import PROFILES, npu_report
from nas_lightning.data.features import FrontEndCost
from nas_lightning.errors import BudgetError, InputError
from nas_lightning.report.costs import CostReport, LimitReport
from nas_lightning.runs.build import called
from nas_lightning.runs.context import Run
from nas_lightning.runs.init import fixed_network
from nas_lightning.tasks.decisions import Decision


def cost_report(run: Run, network: nn.Module) -> CostReport:
    """The content of ``cost.json``.

    Raises:
        BudgetError: if the network exceeds a limit.
    """
    task, device, budget = run.task, run.config.device, run.budget
    cost = cost_of(network, task.in_channels, task.length, run.numbers)
    has_time = device.clock_mhz is not None and device.core is not None and core_named(device.core) is not None
    front_end, profile = run.data.front_end_cost, device.npu_profile
    report = CostReport(
        **vars(cost),
        latency_ms=milliseconds(cost.instructions, device.clock_mhz) if has_time and device.clock_mhz else None,
        front_end=None if front_end == FrontEndCost() else front_end,
        npu_report=npu_report(network, task.in_channels, task.length, PROFILES[profile]) if profile else None,
    )
    total = report.total
    if exceeded := budget.exceeded(total):
        nearest = {measure: total[measure] for measure in exceeded}
        raise BudgetError("the network does not meet", budget, exceeded, nearest)
    if not budget:
        return report
    limits = {name: LimitReport(limit=limit, value=total[name], holds=True) for name, limit in budget.items()}
    return replace(report, device=device.name, budget=limits)


def with_decision(run: Run, cost: CostReport, decision: Decision | None) -> CostReport:
    """The same with what the C of a decision takes; it is none of what a budget limits."""
    if decision is None or not decision.has_code:
        return cost
    return replace(cost, decision=decision_cost(decision, run.task.num_outputs, run.numbers.core))


def check_fit(run: Run) -> None:
    """Refuse data that are too short for the network, and limits that it, or all networks of the space, do not meet.

    Raises:
        InputError: for the data.
        BudgetError: for the limits.
    """
    reference = None if run.config.training.nas_enabled else fixed_network(run.config, run.task)
    # Two time steps must be left after all strides: BatchNorm cannot normalise a single value.
    least = 1 + (run.space.total_stride if reference is None else reference.total_stride)
    if run.task.length < least:
        raise InputError(
            f"data: the samples have {run.task.length} time steps; the reductions of this network need at least {least}"
        )
    if reference is None:
        _check_space(run)
    else:
        called("model", lambda: cost_report(run, reference.build()))


def _check_space(run: Run) -> None:
    front_end = asdict(run.data.front_end_cost)
    if front_end["ram_bytes"] > run.budget.get("ram_bytes", front_end["ram_bytes"]):
        nearest = {"ram_bytes": front_end["ram_bytes"]}
        raise BudgetError("the front end alone does not meet", run.budget, ["ram_bytes"], nearest)
    try:
        run.space.check_feasible(run.limits)
    except BudgetError as error:
        if run.limits == run.budget:
            raise
        nearest = {measure: limit + front_end.get(measure, 0) for measure, limit in error.nearest.items()}
        raise BudgetError(
            "no network of this space meets, after its front end,", run.budget, error.binding, nearest
        ) from error
