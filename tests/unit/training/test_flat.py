import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from training_cases import network

from edgekit.training.flat import decayed, flatten


def test_the_vector_and_the_module_are_the_same_memory() -> None:
    module = network()
    images = torch.rand(2, 3, 16, 16)
    before = module(images).detach()
    values, gradients = flatten(module)
    assert values.shape == gradients.shape == (sum(p.numel() for p in module.parameters()),)
    torch.testing.assert_close(module(images).detach(), before, rtol=0, atol=0)
    values.zero_()
    assert not module(images).any()


def test_gradients_arrive_in_the_vector() -> None:
    module, plain = network(), network()
    _, gradients = flatten(module)
    images = torch.rand(2, 3, 16, 16)
    for net in (module, plain):
        net(images).square().sum().backward()
    expected = torch.cat([p.grad.reshape(-1) for p in plain.parameters()])
    torch.testing.assert_close(gradients, expected, rtol=0, atol=0)


def test_a_replica_follows_the_vector_with_gradients_of_its_own() -> None:
    module, replica = network(0), network(1)
    values, gradients = flatten(module)
    shared, own = flatten(replica, values)
    assert shared is values
    replica.eval(), module.eval()
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(module(images), replica(images))
    replica(images).sum().backward()
    assert own.any()
    assert not gradients.any()


def test_only_convolutions_and_matrices_decay() -> None:
    module = network()
    expected = [float(p.ndim > 1) for p in module.parameters() for _ in range(p.numel())]
    assert decayed(module).tolist() == expected
    assert 0 < sum(expected) < len(expected)
