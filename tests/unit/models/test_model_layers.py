from edgekit.models.blocks import Sequence
from edgekit.models.layers import BatchNorm, Conv, GlobalAveragePool, Linear, walk


def test_walk_names_leaves_by_their_path_and_gives_each_its_input_shape() -> None:
    inner = Sequence((("0", Conv(8, 3, stride=2)), ("1", BatchNorm())))
    tree = Sequence((("stem", inner), ("pool", GlobalAveragePool()), ("fc", Linear(5))))
    assert [(name, shape) for name, _, shape in walk(tree, (3, 9, 9))] == [
        ("stem.0", (3, 9, 9)),
        ("stem.1", (8, 5, 5)),
        ("pool", (8, 5, 5)),
        ("fc", (8,)),
    ]
    assert tree.output_shape((3, 9, 9)) == (5,)


def test_grouped_and_depthwise_convolutions_hold_one_groups_weights() -> None:
    assert Conv(8, 3, groups=4).parameters((16, 6, 6)) == {"weight": (8, 4, 3, 3)}
    assert Conv(16, 5, groups=None).parameters((16, 6, 6)) == {"weight": (16, 1, 5, 5)}
    assert Conv(16, 5, stride=2, groups=None).macs((16, 7, 5)) == 16 * 25 * 4 * 3


def test_a_stride_needs_a_map_of_its_own_size() -> None:
    assert Conv(8, 3, stride=2).fits((3, 2, 2))
    assert not Conv(8, 3, stride=2).fits((3, 2, 1))
