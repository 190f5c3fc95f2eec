import pytest

from edgekit.plan.names import short_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("conv_0", "conv_0"),
        ("model/block_1/conv/Relu", "conv/Relu"),
        ("model/act_2/Relu;model/bn/FusedBatchNormV3;model/conv/BiasAdd", "act_2/Relu"),
        ("a/b/", "a/b"),
        ("/", "/"),
        (";", ";"),
        ("", ""),
    ],
)
def test_short_names_tell_tensors_apart(name: str, short: str) -> None:
    assert short_name(name) == short
