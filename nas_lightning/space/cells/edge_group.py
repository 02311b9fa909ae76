"""All edges of one stride in a cell, stacked: what the supernet computes at once instead of edge by edge.

Letters: B samples, C channels, L time steps, E edges, O convolutional operations, K taps of the widest of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import ModuleType
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_lightning.kernels.choice import implementation
from nas_lightning.kernels.network_ops import Planes, Program
from nas_lightning.kernels.torch_ops import fold_statistics
from nas_lightning.space.cells.dense import (
    chain_of,
    convolutions,
    dense_kernel,
    input_phases,
    kernel_phases,
    run_layers,
    update_running,
    window,
)
from nas_lightning.space.ops import OPS, Zero


@dataclass(frozen=True)
class EdgeWeights:
    """The op weights of the edges out of one node.

    Attributes:
        convs: ``[E, O]``.
        pools: ``[E, 3]``: identity, average and maximum over 3 steps, all at stride 1; None if there are none.
        shared: ``[E, N]``, of the other operations without parameters, which are the same on every edge.
        single: ``[E, M]``, of the other operations with parameters.
        total: ``[E]``, the sum over all operations, ``none`` included.
    """

    convs: Tensor
    pools: Tensor | None
    shared: Tensor
    single: Tensor
    total: Tensor


class EdgeGroup(nn.Module):
    """The operations on all edges of one stride.

    Operations that are convolutions (``dense.chain_of``) are computed as dense convolutions, all together; pools and
    the identity once per node; anything else, long convolutions among it, runs as the module that it is. The
    convolutions' weights lie in ``stacks``, named ``OPERATION/POSITION``, with the edges as first dimension.

    Args:
        ops: names of the operations, the columns of the op weights.
        channels: of every node.
        stride: 1 or 2.
        rows: the rows of the op weights that these edges are, ordered by source.
        counts: how many edges leave each source, in that order.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self, ops: Sequence[str], channels: int, stride: int, rows: Sequence[int], counts: Sequence[int]
    ) -> None:
        super().__init__()
        self.stride, self.rows, self.counts = stride, list(rows), list(counts)
        built = {op: [OPS[op](channels, stride, False) for _ in rows] for op in ops}
        examples = {op: modules[0] for op, modules in built.items()}
        self.chains = {op: chain for op, module in examples.items() if (chain := chain_of(module)) is not None}
        pools = {column: op for op, module in examples.items() if (column := _pool_column(module)) is not None}
        done = {*self.chains, *pools.values(), *(op for op, module in examples.items() if isinstance(module, Zero))}
        rest = {op: module for op, module in examples.items() if op not in done}
        self.pools = {op: examples[op] for op in pools.values()}  # without parameters: nothing to register
        self.position = {row: e for e, row in enumerate(rows)}
        self.shared = nn.ModuleDict({op: module for op, module in rest.items() if not module.state_dict()})
        self.single = nn.ModuleDict({op: nn.ModuleList(built[op]) for op in rest if op not in self.shared})
        self.columns = {
            "convs": [ops.index(op) for op in self.chains],
            "pools": [ops.index(pools[i]) if i in pools else len(ops) for i in range(3)] if pools else [],
            "shared": [ops.index(op) for op in self.shared],
            "single": [ops.index(op) for op in self.single],
        }
        self.stacks = nn.ParameterDict(
            {
                f"{op}/{i}": torch.stack([convolutions(module)[i].weight.detach() for module in built[op]])
                for op, chain in self.chains.items()
                for i in range(chain.num_convs)
            }
        )
        self.half_taps = max((chain.half for chain in self.chains.values()), default=0)
        self.windows = [window(chain.half, self.half_taps, stride) for chain in self.chains.values()]
        shape = (len(self.rows), len(self.chains), channels)
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        bn = nn.BatchNorm1d(channels)
        self.eps, self.momentum = bn.eps, bn.momentum

    def split_weights(self, op_weights: Tensor) -> list[EdgeWeights]:
        """The op weights of all edges of a cell and all operations, for the edges out of each source of this group."""
        weights = F.pad(op_weights[self.rows], (0, 1))  # one more column, of zeros: an operation that is not there
        parts = {name: weights[:, columns].split(self.counts) for name, columns in self.columns.items()}
        return [
            EdgeWeights(convs, pools if self.columns["pools"] else None, shared, single, total)
            for convs, pools, shared, single, total in zip(
                *parts.values(), weights.sum(1).split(self.counts), strict=True
            )
        ]

    def run_one(self, op: str, row: int, x: Tensor) -> Tensor:
        """One operation on one edge alone: ``[B, C, L]`` to ``[B, C, ceil(L / stride)]``.

        Args:
            op: not ``none``.
            row: of the op weights.
            x: the value of the edge's source.
        """
        edge = self.position[row]
        if op in self.chains:
            return self._run_chain(op, edge, x)
        if op in self.pools:
            return self.pools[op](x)
        if op in self.shared:
            return self.shared[op](x)
        return cast(nn.ModuleList, self.single[op])[edge](x)

    def has_parameters(self, op: str) -> bool:
        """Whether an operation is another one on each edge."""
        return op in self.chains or op in self.single

    def write_one(self, program: Program, op: str, row: int, planes: Planes) -> Planes:
        """Write what ``run_one`` does into a program.

        Raises:
            UnsupportedError: if the operation has no compiled form.
        """
        edge = self.position[row]
        if op not in self.chains:
            if op in self.single:
                return program.layers(cast(nn.ModuleList, self.single[op])[edge], planes)
            return program.layers(self.pools[op] if op in self.pools else self.shared[op], planes)
        chain, channels = self.chains[op], self.running_mean.shape[2]
        for i in range(chain.num_convs):
            weight = self.stacks[f"{op}/{i}"]  # [E, C, C_in / groups, K]
            stride, dilation = (self.stride, chain.dilation) if i == 0 else (1, 1)
            at = edge * weight[0].numel()
            planes = program.convolve(weight, at, tuple(weight.shape[1:]), stride, dilation, planes)
        at = (edge * len(self.chains) + list(self.chains).index(op)) * channels
        return program.normalise(self, at, -1, planes, relu=True)

    def _run_chain(self, op: str, edge: int, x: Tensor) -> Tensor:
        chain, column = self.chains[op], list(self.chains).index(op)
        for i in range(chain.num_convs):
            weight = self.stacks[f"{op}/{i}"][edge]
            groups = x.shape[1] // weight.shape[1]
            if i == 0:
                x = F.conv1d(x, weight, None, self.stride, chain.half, chain.dilation, groups)
            else:
                x = F.conv1d(x, weight)
        mean, variance = self.running_mean[edge, column], self.running_var[edge, column]
        return F.batch_norm(x, mean, variance, None, None, self.training, self.momentum or 0.0, self.eps).relu()

    def kernels(self) -> Sequence[Tensor]:
        """The kernels of all convolutions at stride 1, for each source ``[E, O, C, C_in, K]``.

        At stride 2 they read the input's two phases, so that C_in is 2 C.
        """
        dense = [
            dense_kernel([self.stacks[f"{op}/{i}"] for i in range(chain.num_convs)], chain, self.half_taps)
            for op, chain in self.chains.items()
        ]
        if not dense:
            return [torch.empty(0)] * len(self.counts)
        kernels = torch.stack(dense, dim=1)
        return (kernel_phases(kernels) if self.stride == 2 else kernels).split(self.counts)

    def forward(
        self,
        source: int,
        x: Tensor,
        acc: Sequence[Tensor] | None,
        weights: EdgeWeights,
        kernels: Tensor,
        kernels_choice: str,
    ) -> Sequence[Tensor]:
        """What a source adds to the nodes it leads to.

        Args:
            source: its position among the sources of this group.
            x: its value ``[B, C, L]``.
            acc: what the nodes hold so far, one ``[B, C, ceil(L / stride)]`` per edge; None for zeros.
            weights: of its edges.
            kernels: of its edges, from ``kernels``.
            kernels_choice: one of ``KERNELS``.
        """
        acc = self._run_modules(source, x, acc, weights, kernels_choice)
        values = input_phases(x) if self.stride == 2 else x
        heavy = implementation(kernels_choice, values)
        if not self.chains:
            kernels = x.new_empty(self.counts[source], 0, x.shape[1], values.shape[1], 1)
        folded, bias = self._fold(source, values, kernels, heavy)
        return heavy.mixture(values, acc, folded, bias, weights.convs, weights.pools, self.windows)

    def _fold(self, source: int, x: Tensor, kernels: Tensor, heavy: ModuleType) -> tuple[Tensor, Tensor]:
        """Kernels and bias with the BatchNorms folded in; in training their running statistics are updated."""
        end = list(accumulate(self.counts))[source]
        rows = slice(end - self.counts[source], end)
        running_mean, running_var = self.running_mean[rows], self.running_var[rows]
        if not self.training or not self.chains:
            return fold_statistics(kernels, running_mean, running_var, self.eps)
        folded, bias, mean, variance = heavy.fold_batch_norm(x, kernels, self.eps)
        update_running(running_mean, running_var, mean, variance, x.shape[0] * x.shape[2], self.momentum)
        if source == 0:
            self.num_batches_tracked.add_(1)
        return folded, bias

    def _run_modules(
        self, source: int, x: Tensor, acc: Sequence[Tensor] | None, weights: EdgeWeights, kernels_choice: str
    ) -> Sequence[Tensor] | None:
        """Add the operations that are neither convolutions nor pools at stride 1."""
        added: list[Sequence[Tensor]] = [] if acc is None else [acc]
        if self.shared:
            stacked = torch.stack([module(x) for module in self.shared.values()])  # [N, B, C, L / stride]
            added.append(torch.einsum("nbcl,en->ebcl", stacked, weights.shared).unbind())
        first = sum(self.counts[:source])
        for column, modules in enumerate(self.single.values()):
            assert isinstance(modules, nn.ModuleList)  # nosec B101 # for mypy: made so
            values = (run_layers(modules[first + e], x, kernels_choice) for e in range(self.counts[source]))
            added.append([weights.single[e, column] * value for e, value in enumerate(values)])
        if len(added) < 2:
            return added[0] if added else None
        return [torch.stack(terms).sum(0) for terms in zip(*added, strict=True)]


def _pool_column(module: nn.Module) -> int | None:
    """The column of ``EdgeWeights.pools`` that an operation is, or None."""
    match module:
        case nn.Identity():
            return 0
        case nn.AvgPool1d(kernel_size=(3,), stride=(1,), padding=(1,), ceil_mode=False, count_include_pad=False):
            return 1
        case nn.MaxPool1d(kernel_size=3, stride=1, padding=1, dilation=1, ceil_mode=False):
            return 2
    return None
