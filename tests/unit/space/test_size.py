import pytest

from nas_lightning.space.cells.size import Size


@pytest.mark.parametrize(("layers", "reductions"), [(3, [1, 2]), (10, [3, 6]), (12, [4, 8]), (20, [6, 13])])
def test_reductions_stand_at_a_third_and_two_thirds(layers, reductions):
    plan = Size(layers, 4, 1, 3, 4).plan()
    assert [i for i, cell in enumerate(plan) if cell.is_reduction] == reductions
    assert plan[-1].channels == 4


def test_every_cell_reads_what_the_one_before_gives():
    plan = Size(5, 4, 2, 3, 3).plan()
    assert plan[0].in_channels == 6
    assert [cell.in_channels for cell in plan[1:]] == [3 * cell.channels for cell in plan[:-1]]


@pytest.mark.parametrize(("stride", "total"), [(1, 4), (2, 16)])
def test_post_reduction_stride_halves_again_after_each_reduction(stride, total):
    assert Size(6, 4, 1, 3, 4, post_reduction_stride=stride).total_stride == total


def test_total_stride_counts_a_reduction_that_follows_a_reduction():
    """With three cells the last one is strided twice: by its 1x1 convolution, and as a reduction cell itself."""
    size = Size(3, 4, 1, 3, 4, post_reduction_stride=2)
    assert size.total_stride == 8
    assert size.lengths(16)[-1] == (4, 2)
