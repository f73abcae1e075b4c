"""The flow from noise to cells."""

from __future__ import annotations

import pytest
import torch

from leukopy.models.cell_generator import CellGenerator, _flow, scaled


@pytest.fixture(scope="module")
def net() -> CellGenerator:
    torch.manual_seed(0)
    return CellGenerator(2, 2, 16)


def test_a_straight_flow_is_followed_both_ways() -> None:
    start, end = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    arrived = _flow(lambda pictures, times: end - start, start, 3)
    assert torch.allclose(arrived, end, atol=1e-5)
    assert torch.allclose(_flow(lambda pictures, times: end - start, arrived, 3, backwards=True), start, atol=1e-5)


def test_steps_of_heun_follow_a_curve() -> None:
    grown = _flow(lambda pictures, times: pictures, torch.ones(1, 3, 8, 8), 40)
    assert grown.mean().item() == pytest.approx(2.71828, abs=1e-3)


def test_a_class_that_is_not_told_costs_nothing_and_coarse_classes_are_means(net: CellGenerator) -> None:
    pictures, times = torch.randn(1, 3, 16, 16), torch.tensor([0.3])
    either, other = torch.tensor([[1.0, 1, 0, 1]]), torch.tensor([[1.0, 0, 0, 1]])
    assert torch.isfinite(net(pictures, times, torch.zeros(1, 4))).all()
    assert net(pictures, times, either).shape == pictures.shape
    told = net.condition(torch.tensor([[0.5, 0.5, 0, 1]]))
    seen = []
    hook = net.condition.register_forward_hook(lambda _net, _given, found: seen.append(found))
    net(pictures, times, either)
    net(pictures, times, other)
    hook.remove()
    assert torch.allclose(seen[0], told)
    assert not torch.allclose(seen[1], told)


def test_the_same_seed_draws_the_same_pictures(net: CellGenerator) -> None:
    told = torch.tensor([[1.0, 0, 1, 0]]).repeat(2, 1)
    first = net.draw(told, 16, steps=2, guidance=2, seed=3)
    assert first.shape == (2, 16, 16, 3)
    assert first.dtype == torch.uint8
    assert torch.equal(first, net.draw(told, 16, steps=2, guidance=2, seed=3))
    assert not torch.equal(first, net.draw(told, 16, steps=2, guidance=2, seed=4))


def test_a_cell_moved_into_its_own_laboratory_stays(net: CellGenerator) -> None:
    pictures = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    told = torch.tensor([[1.0, 0, 1, 0]]).repeat(2, 1)
    moved = net.move(pictures, told, told, steps=20)
    assert (moved.float() - pictures.float()).abs().mean() < 4


def test_training_lowers_the_loss() -> None:
    torch.manual_seed(0)
    net = CellGenerator(2, 1, 16)
    dark, pale = torch.full((8, 16, 16, 3), 40), torch.full((8, 16, 16, 3), 220)
    pictures = scaled(torch.cat([dark, pale]).to(torch.uint8))
    told = torch.cat([torch.tensor([[1.0, 0, 1]]).repeat(8, 1), torch.tensor([[0.0, 1, 1]]).repeat(8, 1)])
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = net.loss(pictures, told)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    made = net.eval().draw(told[[0, 15]], 16, steps=10, guidance=1, seed=0).float().mean(dim=(1, 2, 3))
    assert made[0] < made[1]
