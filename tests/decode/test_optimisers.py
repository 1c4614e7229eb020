import math

import pytest
import torch
from torch import nn

from corticode.decode.optimisers import make_optimiser, one_cycle, set_step
from corticode.decode.settings import Training


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))


def test_one_cycle_by_hand():
    # A quarter up, three quarters down, along half cosines.
    assert one_cycle(0.125, 0.0, 2.0, 1.0) == pytest.approx(1.0)
    assert one_cycle(0.625, 0.0, 2.0, 1.0) == pytest.approx(1.5)
    assert one_cycle(0.25 + 0.75 / 3, 0.0, 1.0, 0.0) == pytest.approx(0.75)


class TestStep:
    def test_fastai_moves_rate_and_beta(self):
        training = Training(learning_rate=1e-3, optimiser="fastai-adam", schedule="one-cycle")
        optimiser = make_optimiser(network(), training)
        found = []
        for progress in (0.0, 0.25, 1.0):
            set_step(optimiser, training, progress)
            found += [(group["lr"], *group["betas"]) for group in optimiser.param_groups]
        expected = [(4e-5, 0.95, 0.99), (1e-3, 0.85, 0.99), (1e-8, 0.95, 0.99)]
        for value, wanted in zip(found, [e for e in expected for _ in range(2)], strict=True):
            assert value == pytest.approx(wanted)
        assert optimiser.defaults["eps"] == 1e-5

    def test_adam_keeps_its_betas(self):
        training = Training(schedule="one-cycle")
        optimiser = make_optimiser(network(), training)
        set_step(optimiser, training, 0.0)
        assert optimiser.param_groups[0]["lr"] == pytest.approx(training.learning_rate / 25)
        assert optimiser.param_groups[0]["betas"] == (0.9, 0.999)

    def test_constant_changes_nothing(self):
        training = Training()
        optimiser = make_optimiser(network(), training)
        set_step(optimiser, training, 0.9)
        assert optimiser.param_groups[0]["lr"] == training.learning_rate


def test_weights_decay_and_biases_and_batch_norms_do_not():
    net = network()
    optimiser = make_optimiser(net, Training(optimiser="fastai-adam", learning_rate=0.1))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    for name, parameter in net.named_parameters():
        factor = 1 - 0.1 * 0.01 if name in ("0.weight", "2.weight") else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * factor)


def test_two_steps_of_fastai_adam_by_hand():
    """The released code's optimiser: decoupled decay, then debiased moments, epsilon outside."""
    weight = nn.Parameter(torch.tensor([[2.0]]))
    net = nn.Linear(1, 1, bias=False)
    net.weight = weight
    training = Training(optimiser="fastai-adam", schedule="one-cycle", learning_rate=0.1, epochs=1)
    optimiser = make_optimiser(net, training)
    value, mean, square = 2.0, 0.0, 0.0
    for step, (progress, gradient) in enumerate([(0.0, 0.5), (0.5, -1.5)], start=1):
        set_step(optimiser, training, progress)
        weight.grad = torch.tensor([[gradient]])
        optimiser.step()
        rate = 0.1 * one_cycle(progress, 1 / 25, 1.0, 1e-5)
        beta = one_cycle(progress, 0.95, 0.85, 0.95)
        value *= 1 - rate * 0.01
        mean = beta * mean + (1 - beta) * gradient
        square = 0.99 * square + 0.01 * gradient**2
        debiased = math.sqrt(square / (1 - 0.99**step)) + 1e-5
        value -= rate * mean / (1 - beta**step) / debiased
    assert weight.item() == pytest.approx(value, rel=1e-6)
