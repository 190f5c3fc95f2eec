from edgekit.models import registry
from edgekit.models.layers import walk
from edgekit.models.state_names import translated, unwrapped, without_prefixes


def own(arch: str) -> list[str]:
    spec = registry.resolve(arch)
    return [
        f"{name}.{suffix}"
        for name, layer, shape in walk(spec.layers, spec.input_shape[1:])
        for suffix in layer.parameters(shape)
    ]


def test_wrappers_nest_and_averaged_weights_come_first() -> None:
    assert unwrapped({"a": 1}) == ({"a": 1}, None)
    assert unwrapped({"model": {"state_dict": {"a": 1}}, "epoch": 3}) == ({"a": 1}, "state_dict")
    assert unwrapped({"model": {"a": 1}, "model_ema": {"a": 2}}) == ({"a": 2}, "model_ema")
    assert unwrapped([1]) == ([1], None)


def test_wrappers_that_hold_themselves_end() -> None:
    endless: dict = {}
    endless["model"] = endless
    assert unwrapped(endless) == (endless, "model")


def test_prefixes_go_only_where_every_name_has_them() -> None:
    names = ["module._orig_mod.a.weight", "module._orig_mod.b.bias", "n_averaged"]
    assert without_prefixes(names) == {"a.weight": names[0], "b.bias": names[1]}
    assert without_prefixes(["module.a", "b"]) == {"module.a": "module.a", "b": "b"}


def test_old_names_of_dense_layers() -> None:
    names = {
        "features.denseblock1.denselayer2.norm.1.weight": "denselayer2.norm1.weight",
        "features.denseblock1.denselayer2.conv.2.weight": "denselayer2.conv2.weight",
        "features.transition1.norm.weight": "transition1.norm.weight",
    }
    for old, new in translated(names, ()).items():
        assert new.endswith(names[old])


def test_names_of_efficientnet_pytorch_become_those_of_timm() -> None:
    names = ["_conv_stem.weight", "_bn0.weight", "_bn0.bias", "_conv_head.weight", "_bn1.weight"]
    names += ["_bn1.bias", "_fc.weight", "_fc.bias"]
    for block in range(16):
        parts = ["_depthwise_conv", "_project_conv", *(["_expand_conv"] if block else [])]
        names += [f"_blocks.{block}.{part}.weight" for part in parts]
        norms = ["_bn1", "_bn2", *(["_bn0"] if block else [])]
        names += [f"_blocks.{block}.{norm}.{x}" for norm in norms for x in ("weight", "bias")]
    expected = own("efficientnet_lite0")
    assert sorted(translated(names, expected).values()) == sorted(expected)
    found = translated(names, expected)
    assert found["_blocks.0._project_conv.weight"] == "blocks.0.0.conv_pw.weight"
    assert found["_blocks.4._bn0.bias"] == "blocks.2.1.bn1.bias"


def test_a_block_that_the_architecture_lacks_keeps_its_name() -> None:
    names = ["_conv_stem.weight", "_blocks.99._bn1.weight", "_odd"]
    found = translated(names, own("efficientnet_lite0"))
    assert found["_blocks.99._bn1.weight"] == "_blocks.99._bn1.weight"
    assert found["_odd"] == "_odd"
