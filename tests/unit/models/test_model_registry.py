import json
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.models.layers import Shape, walk
from edgekit.models.registry import catalogue, get, names, recognise, resolve
from edgekit.models.spec import ModelSpec
from edgekit.models.state_names import translated

WITHOUT_TORCH = """
import sys
from edgekit.models.registry import catalogue
assert catalogue(0.25, 0.571, 10)
assert not {"torch", "onnx", "numpy"} & set(sys.modules), sorted(sys.modules)
"""


@pytest.mark.parametrize(
    ("rho", "resolution"),
    [(1, 224), (0.857, 192), (0.714, 160), (0.571, 128), (0.43, 96), (0.2857, 64), (1.143, 256)],
)
def test_rho_chooses_the_nearest_multiple_of_32(rho: float, resolution: int) -> None:
    spec = resolve("mobilenet_v1", rho=rho)
    assert (spec.resolution, spec.rho) == (resolution, rho)


def test_an_explicit_resolution_overrides_rho() -> None:
    spec = resolve("mobilenet_v1", rho=0.857, resolution=128)
    assert (spec.resolution, spec.rho) == (128, 0.571)
    assert spec.input_shape == (1, 3, 128, 128)
    assert resolve("mobilenet_v1", resolution=97).resolution == 97


@pytest.mark.parametrize(
    ("wish", "message", "hint"),
    [
        ({"arch": "mobilenet_v9"}, "Unknown architecture 'mobilenet_v9'", "mobilenet_v1"),
        ({"alpha": 0.0}, "alpha multiplier is 0", "0.25"),
        ({"alpha": -1.0}, "alpha multiplier is -1", "0.25"),
        ({"alpha": float("nan")}, "alpha multiplier is nan", "0.25"),
        ({"alpha": 0.03}, "leaves a layer of 32 channels with none", "0.03125"),
        ({"alpha": 11.0}, "at most 10", "0.25"),
        ({"rho": float("inf")}, "rho multiplier is inf", "0.571"),
        ({"rho": -0.5}, "rho multiplier is -0.5", "0.571"),
        ({"rho": 0.05}, "asks for 11.2 pixels", "--resolution"),
        ({"resolution": 16}, "Resolution 16 is too small", "smallest that works is 17"),
        ({"resolution": 0}, "Resolution is 0", ""),
        ({"resolution": 4096}, "Resolution is 4096", ""),
        ({"classes": 1}, "Number of classes is 1", ""),
        ({"padding": "valid"}, "Unknown padding 'valid'", "torch"),
    ],
)
def test_what_cannot_work_is_refused(wish: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        resolve(**{"arch": "mobilenet_v1", **wish})
    assert hint in caught.value.hint


def test_the_smallest_resolution_named_by_the_hint_works() -> None:
    assert resolve("mobilenet_v1", resolution=17).resolution == 17


def test_channels_are_cut_to_whole_numbers_and_never_fewer_than_eight() -> None:
    spec = resolve("mobilenet_v1", alpha=0.35)
    channels = [
        shape[0] for name, _, shape in walk(spec.layers, (3, 224, 224)) if "conv_pw" in name
    ]
    assert channels == [11, 22, 44, 44, 89, 89, 179, 179, 179, 179, 179, 179, 358]
    narrow = resolve("mobilenet_v1", alpha=0.1)
    assert walked_channels(narrow.layers)["bn1"] == 8
    assert walked_channels(narrow.layers)["classifier"] == 102


def walked_channels(tree: Any) -> dict[str, int]:
    return {name: shape[0] for name, _, shape in walk(tree, (3, 224, 224))}


def test_equal_wishes_give_equal_specs_that_json_can_hold() -> None:
    spec = resolve("mobilenet_v1", 1, 0.571, classes=10)
    assert spec == resolve("mobilenet_v1", 1.0, 0.571, classes=10)
    again = json.loads(json.dumps(spec.to_json()))
    assert resolve(**again) == spec


def test_the_catalogue_lists_every_architecture() -> None:
    rows = catalogue()
    assert [row["name"] for row in rows] == names() == sorted(names())
    assert rows[names().index("mobilenet_v1")] == {
        "name": "mobilenet_v1",
        "family": "mobilenet_v1",
        "resolution": 224,
        "params": 4_231_976,
        "macs": 568_740_352,
    }


def test_listing_models_imports_neither_torch_nor_numpy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def shapes_of(spec: ModelSpec) -> dict[str, Shape]:
    return {
        f"{name}.{suffix}": shape
        for name, layer, at in walk(spec.layers, spec.input_shape[1:])
        for suffix, shape in layer.parameters(at).items()
    }


def test_a_checkpoint_is_recognised_by_its_shapes() -> None:
    shapes = shapes_of(resolve("mobilenet_v1", 0.5))
    assert recognise(shapes) == "mobilenet_v1 with alpha 0.5"
    assert recognise({**shapes, "conv_stem.weight": (16, 3, 5, 5)}) is None


def test_a_checkpoint_with_other_names_is_recognised() -> None:
    """By torchvision's old names, and by those of the packages with Lite's weights."""
    dense = shapes_of(resolve("densenet121"))
    old = {re.sub(r"(norm|conv)([12]\.)", r"\1.\2", name): dense[name] for name in dense}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    assert recognise(old) == "densenet121 with alpha 1"

    lite = shapes_of(resolve("efficientnet_lite1"))
    foreign = {name: lite[ours] for name, ours in foreign_names(lite).items()}
    assert "_blocks.0._depthwise_conv.weight" in foreign and len(foreign) == len(lite)
    assert recognise(foreign) == "efficientnet_lite1 with alpha 1"


def foreign_names(ours: Iterable[str]) -> dict[str, str]:
    """Every name that EfficientNet-PyTorch could give, of which `translated` knows ours."""
    layers = ("_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2")
    inner = [f"_blocks.{n}.{layer}" for n in range(40) for layer in layers]
    inner = [name for name in inner if not name.startswith(("_blocks.0._expand", "_blocks.0._bn0"))]
    outer = ["_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc"]
    every = [f"{name}.{end}" for name in (*outer, *inner) for end in ("weight", "bias")]
    known = set(ours)
    return {theirs: name for theirs, name in translated(every, ours).items() if name in known}


def test_published_widths_all_resolve() -> None:
    for name in names():
        for alpha in get(name).alphas:
            assert resolve(name, alpha).alpha == alpha


def test_every_published_network_is_recognised_with_any_number_of_classes() -> None:
    for name in names():
        for alpha in get(name).alphas:
            shapes = shapes_of(resolve(name, alpha, classes=7))
            assert recognise(shapes) == f"{name} with alpha {alpha:g}"
