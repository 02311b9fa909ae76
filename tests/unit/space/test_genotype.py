import pytest
import torch

from nas_lightning.errors import InputError
from nas_lightning.space.cells.blueprint import CellBlueprint
from nas_lightning.space.cells.genotype import Genotype, Genotypes, live_nodes
from nas_lightning.space.cells.network import Network, makes_value
from nas_lightning.space.cells.size import Size
from nas_lightning.space.choices import strongest
from nas_lightning.space.reference import ReferenceBlueprint
from nas_lightning.tasks import Classification

OPS = ("none", "skip_connect", "conv_bn_relu_3x1")


def test_derive_keeps_the_strongest_pair_of_each_node_and_never_none():
    weights = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.3, 0.1, 0.6]])  # edges 0-1, 0-2, 1-2
    genotype = strongest({"normal": weights, "reduce": weights.flip(0)}, Genotypes(OPS, 2))
    assert genotype.normal == (("skip_connect", 0), ("conv_bn_relu_3x1", 1))
    assert genotype.reduce == (("conv_bn_relu_3x1", 0), ("skip_connect", 0))


@pytest.mark.parametrize(
    ("normal", "message"),
    [
        ((("none", 0),), "unknown operation 'none' in normal node 1"),
        ((("conv_9", 0),), "unknown operation 'conv_9' in normal node 1"),
        ((("skip_connect", 1),), "normal node 1 reads node 1; allowed: 0 to 0"),
        ((), "normal has 0 nodes and reduce 1"),
    ],
)
def test_a_genotype_that_cannot_be_built_is_refused(normal, message):
    with pytest.raises(InputError, match=message):
        Genotype(normal, (("skip_connect", 0),))


GENOTYPE = Genotype(
    (("conv_bn_relu_3x1", 0), ("skip_connect", 0), ("skip_connect", 0)),
    (("conv_bn_relu_3x1", 0), ("skip_connect", 1), ("skip_connect", 2)),
)


def test_nodes_that_do_not_reach_the_output_are_not_built():
    assert live_nodes(GENOTYPE.normal, 1) == {3}
    assert live_nodes(GENOTYPE.reduce, 1) == {1, 2, 3}
    cells = Network(GENOTYPE, Size(3, 3, 2, 3, 1), Classification(1, 16, 2)).cells
    assert [list(cell.nodes) for cell in cells] == [["3"], ["1", "2", "3"], ["1", "2", "3"]]


def test_the_trained_network_has_the_searched_structure():
    """peers.md: a peer dropped the number of nodes, the multiplier and the stem between search and training."""
    size = Size(layers=6, nodes_per_layer=3, init_channels=2, init_channel_multiplier=5, fanout_concat=2)
    network = Network(GENOTYPE, size, Classification(3, 32, 4))
    assert network.stem.conv[0].weight.shape == (10, 3, 3)
    assert len(network.cells) == 6
    assert [cell.preprocess[0].in_channels for cell in network.cells] == [10, 4, 4, 8, 8, 16]
    assert [cell.preprocess[0].out_channels for cell in network.cells] == [2, 2, 4, 4, 8, 8]
    assert network.head.in_features == 16


def test_blueprints_survive_json():
    searched = CellBlueprint(GENOTYPE, Size(3, 3, 2, 3, 1), Classification(1, 16, 2))
    reference = ReferenceBlueprint((4, 8), 5, Classification(1, 16, 2))
    assert CellBlueprint.from_dict(searched.to_dict()) == searched
    assert ReferenceBlueprint.from_dict(reference.to_dict()) == reference


def test_a_broken_genotype_file_is_named():
    content = CellBlueprint(GENOTYPE, Size(3, 3, 2, 3, 1), Classification(1, 16, 2)).to_dict()
    with pytest.raises(InputError, match=r"genotype: cannot be made of this \(KeyError\('task'\)\)"):
        CellBlueprint.from_dict({key: value for key, value in content.items() if key != "task"})
    content["size"]["nodes_per_layer"] = 4
    with pytest.raises(InputError, match="3 nodes are described, the size says 4"):
        CellBlueprint.from_dict(content)


def test_the_weights_of_a_network_follow_from_the_seed_alone():
    """Not from what was built before: what is known of operations is kept in caches."""
    weights = []
    for _ in range(2):
        torch.manual_seed(0)
        weights.append(Network(GENOTYPE, Size(3, 3, 2, 3, 2), Classification(1, 16, 2)).head.weight)
        makes_value.cache_clear()
    torch.manual_seed(0)
    Network(GENOTYPE, Size(3, 3, 2, 3, 2), Classification(1, 16, 2))
    torch.manual_seed(0)
    weights.append(Network(GENOTYPE, Size(3, 3, 2, 3, 2), Classification(1, 16, 2)).head.weight)
    assert torch.equal(weights[0], weights[1])
    assert torch.equal(weights[0], weights[2])
