"""The ResNets for 32 pixels, made of torchvision's parts as their own authors' code has them.

resnet20 and resnet56: chenyaofo/pytorch-cifar-models, whose stem and stages differ from
torchvision's, not its blocks. resnet8: mlcommons/tiny's keras_model.py, resnet_v1_eembc, in which
every convolution has a bias and nothing normalises the projections.
"""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

KERAS_EPSILON = 1e-3


def of_cifar(blocks: int) -> nn.Module:
    """Two convolutions a block, six times `blocks`, beside the stem."""
    module = ResNet(BasicBlock, [1, 1, 1, 1])
    module.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    module.bn1, module.maxpool = nn.BatchNorm2d(16), nn.Identity()
    module.inplanes = 16
    module.layer1 = module._make_layer(BasicBlock, 16, blocks)
    module.layer2 = module._make_layer(BasicBlock, 32, blocks, stride=2)
    module.layer3 = module._make_layer(BasicBlock, 64, blocks, stride=2)
    module.layer4 = nn.Identity()
    module.fc = nn.Linear(64, 1000)
    return module


def of_mlperf_tiny() -> nn.Module:
    """One block a stage, as Keras makes its layers."""
    module = of_cifar(1)
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d):
                child.bias = nn.Parameter(child.weight.new_zeros(child.out_channels))
            elif isinstance(child, nn.BatchNorm2d):
                child.eps = KERAS_EPSILON
            elif name == "downsample" and child is not None:
                del child[1]
    return module


REFERENCES = {
    "resnet8": of_mlperf_tiny,
    "resnet20": partial(of_cifar, 3),
    "resnet56": partial(of_cifar, 9),
}
