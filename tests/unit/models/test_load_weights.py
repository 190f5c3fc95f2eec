import re
from pathlib import Path
from pickle import dumps

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from safetensors.torch import save_file
from torch import nn

from edgekit.errors import InputError
from edgekit.models.checkpoints import load_weights
from edgekit.models.module import build
from edgekit.models.registry import resolve


def tiny(classes: int = 4, alpha: float = 0.25) -> nn.Module:
    torch.manual_seed(classes)
    return build(resolve("mobilenet_v1", alpha, resolution=32, classes=classes))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_ema"])
def test_pth_bare_or_wrapped(tmp_path: Path, wrapper: str | None) -> None:
    source = tiny().state_dict()
    nn.init.normal_(source["bn1.running_mean"])
    path = tmp_path / "weights.pth"
    torch.save({wrapper: source, "epoch": 3} if wrapper else source, path)
    module = tiny(alpha=0.25)
    loaded = load_weights(module, path)
    assert loaded.note == (
        f"Loaded weights.pth ('{wrapper}')." if wrapper else "Loaded weights.pth."
    )
    assert not loaded.new_classifier
    assert same(module.state_dict(), source)


def test_safetensors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = {key: torch.rand_like(v.float()).to(v.dtype) for key, v in tiny().state_dict().items()}
    save_file(source, tmp_path / "weights.safetensors")
    module = tiny()
    load_weights(module, str(tmp_path / "weights.safetensors"))
    assert same(module.state_dict(), source)


def test_a_classifier_of_another_size_starts_anew_and_is_told(tmp_path: Path) -> None:
    source = tiny(classes=9).state_dict()
    path = tmp_path / "nine.pth"
    torch.save(source, path)
    module = tiny(classes=4)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    loaded = load_weights(module, path)
    assert loaded.new_classifier
    assert "classifier is for 9 classes, not 4" in loaded.note
    after = module.state_dict()
    assert torch.equal(after["classifier.weight"], before["classifier.weight"])
    assert torch.equal(after["conv_stem.weight"], source["conv_stem.weight"])


def test_old_checkpoints_without_batch_counters_load(tmp_path: Path) -> None:
    source = {k: v for k, v in tiny().state_dict().items() if not k.endswith("batches_tracked")}
    torch.save(source, tmp_path / "old.pth")
    assert load_weights(tiny(), tmp_path / "old.pth").note == "Loaded old.pth."


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    source = tiny().state_dict()
    source["blocks.2.1.bn2.running_var"][3] = value
    torch.save(source, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"blocks\.2\.1\.bn2\.running_var"):
        load_weights(tiny(), tmp_path / "bad.pth")


def test_another_width_is_refused_and_recognised(tmp_path: Path) -> None:
    torch.save(tiny(alpha=0.5).state_dict(), tmp_path / "wide.pth")
    with pytest.raises(InputError, match=r"conv_stem\.weight is \(16, 3, 3, 3\)") as caught:
        load_weights(tiny(), tmp_path / "wide.pth")
    assert caught.value.hint == "It looks like mobilenet_v1 with alpha 0.5."


def test_missing_and_unexpected_tensors_are_named(tmp_path: Path) -> None:
    source = tiny().state_dict()
    source["stem.weight"] = source.pop("conv_stem.weight")
    torch.save(source, tmp_path / "renamed.pth")
    with pytest.raises(
        InputError, match=r"conv_stem\.weight is missing; stem\.weight is not"
    ) as caught:
        load_weights(tiny(), tmp_path / "renamed.pth")
    assert "no architecture known" in caught.value.hint


def test_integer_weights_are_refused(tmp_path: Path) -> None:
    source = tiny().state_dict()
    source["classifier.bias"] = source["classifier.bias"].to(torch.int8)
    torch.save(source, tmp_path / "quantized.pth")
    with pytest.raises(InputError, match=r"classifier\.bias is torch\.int8, not torch\.float32"):
        load_weights(tiny(), tmp_path / "quantized.pth")


def test_numbers_too_large_for_float32_are_refused(tmp_path: Path) -> None:
    source = {k: v.double() if v.is_floating_point() else v for k, v in tiny().state_dict().items()}
    torch.save(source, tmp_path / "double.pth")
    assert load_weights(tiny(), tmp_path / "double.pth").note == "Loaded double.pth."
    source["classifier.bias"][0] = 1e300
    torch.save(source, tmp_path / "double.pth")
    with pytest.raises(InputError, match=r"classifier\.bias.*infinity"):
        load_weights(tiny(), tmp_path / "double.pth")


def test_variances_below_zero_are_refused(tmp_path: Path) -> None:
    source = tiny().state_dict()
    source["bn1.running_var"][2] = -1e-3
    torch.save(source, tmp_path / "negative.pth")
    with pytest.raises(InputError, match=r"bn1\.running_var.*below zero"):
        load_weights(tiny(), tmp_path / "negative.pth")


@pytest.mark.parametrize("change", [torch.Tensor.to_sparse, lambda value: value.to("meta")])
def test_tensors_without_plain_numbers_are_refused(tmp_path: Path, change) -> None:
    source = tiny().state_dict()
    source["classifier.weight"] = change(source["classifier.weight"])
    torch.save(source, tmp_path / "odd.pth")
    with pytest.raises(InputError, match=r"odd\.pth"):
        load_weights(tiny(), tmp_path / "odd.pth")


@pytest.mark.parametrize("name", ["noise.pth", "noise.safetensors"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80no checkpoint" * 9)
    with pytest.raises(InputError, match=f"{name}' is not a readable checkpoint"):
        load_weights(tiny(), tmp_path / name)


def test_a_pickled_module_is_refused_without_running_it(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(InputError, match="not a readable checkpoint") as caught:
        load_weights(tiny(), tmp_path / "module.pth")
    assert "pickled modules are not read" in caught.value.hint


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(dumps(value))])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, save) -> None:
    save({"a": Evil(tmp_path / "executed")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_weights(tiny(), tmp_path / "evil.pth")
    assert not (tmp_path / "executed").exists()


def test_what_is_no_state_dict_or_no_file_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds no state dict"):
        load_weights(tiny(), tmp_path / "list.pth")
    with pytest.raises(InputError, match="no checkpoint"):
        load_weights(tiny(), tmp_path / "absent.pth")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_prefixes_of_wrapper_modules_are_taken_off(tmp_path: Path, prefix: str) -> None:
    source = tiny().state_dict()
    torch.save({prefix + key: value for key, value in source.items()}, tmp_path / "wrapped.pth")
    module = tiny()
    nn.init.zeros_(module.get_parameter("conv_stem.weight"))
    load_weights(module, tmp_path / "wrapped.pth")
    assert same(module.state_dict(), source)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("suffix", ["pt", "bin", "safetensors"])
def test_half_precision_is_read_as_float32(tmp_path: Path, kind: torch.dtype, suffix: str) -> None:
    source = {k: v.to(kind) if v.is_floating_point() else v for k, v in tiny().state_dict().items()}
    path = tmp_path / f"half.{suffix}"
    save_file(source, path) if suffix == "safetensors" else torch.save(source, path)
    module = tiny()
    load_weights(module, path)
    weight = module.state_dict()["conv_stem.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, source["conv_stem.weight"].float())


@pytest.mark.slow
def test_files_of_older_densenets_load(tmp_path: Path) -> None:
    with torch.device("meta"):
        module = build(resolve("densenet121", resolution=32, classes=4))
    module = module.to_empty(device="cpu")
    for value in module.state_dict().values():
        value.fill_(1)
    source = {
        re.sub(r"(denselayer\d+\.\w+)([12]\.)", r"\1.\2", key): value
        for key, value in module.state_dict().items()
    }
    assert source.keys() != module.state_dict().keys()
    torch.save(source, tmp_path / "old.pth")
    assert load_weights(module, tmp_path / "old.pth").note == "Loaded old.pth."


def test_a_deeper_network_of_the_same_widths_is_recognised(tmp_path: Path) -> None:
    with torch.device("meta"):
        deeper = build(resolve("resnet56", resolution=32, classes=7)).to_empty(device="cpu")
    torch.save(deeper.state_dict(), tmp_path / "deeper.pth")
    module = build(resolve("resnet20", resolution=32, classes=4))
    with pytest.raises(InputError, match=r"is not expected; .* more") as caught:
        load_weights(module, tmp_path / "deeper.pth")
    assert caught.value.hint == "It looks like resnet56 with alpha 1."
