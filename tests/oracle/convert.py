"""The state of a supernet in the layout of the textbook, and back."""

from collections.abc import Iterator

from torch import Tensor, nn

from nas_lightning.space.cells.edge_group import EdgeGroup
from nas_lightning.space.cells.supernet import Supernet

Place = tuple[str, tuple[int, ...], str]
"""A key of the supernet's state, the indices of a part of it, and the textbook's key of that part."""


def to_textbook(supernet: Supernet) -> dict[str, Tensor]:
    """The ``state_dict`` of a ``TextbookSupernet`` that computes what ``supernet`` computes."""
    state = supernet.state_dict()
    return {textbook_key: state[key][index].clone() for key, index, textbook_key in _places(supernet)}


def load_textbook(supernet: Supernet, textbook_state: dict[str, Tensor]) -> None:
    """Load the ``state_dict`` of a ``TextbookSupernet`` of the same size, task and operations.

    Raises:
        ValueError: if it is of another size or has other operations.
    """
    state = {key: tensor.clone() for key, tensor in supernet.state_dict().items()}
    for key, index, textbook_key in _places(supernet):
        part, found = state[key][index], textbook_state.get(textbook_key)
        if found is None or found.shape != part.shape:
            shape = None if found is None else list(found.shape)
            raise ValueError(f"{textbook_key}: found {shape}; this supernet needs {list(part.shape)}")
        state[key][index] = found
    supernet.load_state_dict(state)


def _places(supernet: Supernet) -> Iterator[Place]:
    groups = {name: module for name, module in supernet.named_modules() if isinstance(module, EdgeGroup)}
    for key in supernet.state_dict():
        if not any(key.startswith(f"{name}.") for name in groups):
            yield key, (), key
    for name, group in groups.items():
        cell = name.partition(".groups")[0]
        for edge, row in enumerate(group.rows):
            yield from _places_of_edge(group, edge, name, f"{cell}.mixed_ops.{row}.ops", supernet.op_names)


def _places_of_edge(group: EdgeGroup, edge: int, name: str, prefix: str, ops: tuple[str, ...]) -> Iterator[Place]:
    for number, (op, chain) in enumerate(group.chains.items()):
        place = f"{prefix}.{ops.index(op)}"
        for position in range(chain.num_convs):
            yield f"{name}.stacks.{op}/{position}", (edge,), f"{place}.{position}.weight"
        for statistic in ("running_mean", "running_var"):
            yield f"{name}.{statistic}", (edge, number), f"{place}.{chain.num_convs}.{statistic}"
        yield f"{name}.num_batches_tracked", (), f"{place}.{chain.num_convs}.num_batches_tracked"
    for op, modules in group.single.items():
        assert isinstance(modules, nn.ModuleList)  # nosec B101 # for mypy: made so
        for key in modules[edge].state_dict():
            yield f"{name}.single.{op}.{edge}.{key}", (), f"{prefix}.{ops.index(op)}.{key}"
