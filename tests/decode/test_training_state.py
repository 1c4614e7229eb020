import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from corticode.data.windows import WindowShape
from corticode.decode.decoder import build_network, state_bytes
from corticode.decode.settings import Network
from corticode.decode.training_state import NUMBERS, TrainingState, load_state, save_state
from corticode.errors import RunError


def fresh(fit="this fit", units=3):
    network = build_network(Network("gru", units), WindowShape(1, 1), n_regions=2, n_outputs=1)
    return TrainingState(network, torch.optim.Adam(network.parameters(), lr=0.01), fit)


def step(state):
    loss = state.network(torch.randn(8, 3, 2)).square().sum()
    state.optimiser.zero_grad()
    loss.backward()
    state.optimiser.step()


@pytest.fixture
def trained():
    with torch.random.fork_rng(devices=[]):
        state = fresh()
        step(state)
        state.best = {k: t.detach().clone() for k, t in state.network.state_dict().items()}
        step(state)
        state.epoch, state.batch, state.loss_sum, state.seconds = 3, 7, 1.25, 0.5
        state.history = [{"epoch": 1.0, "valid_loss": 0.1 + 0.2}, {"epoch": 2.0, "valid_loss": 1.0}]
        state.best_loss, state.best_epoch = 0.1 + 0.2, 1
    return state


def test_a_state_comes_back_as_it_was(trained, tmp_path):
    save_state(trained, tmp_path / "state")
    with torch.random.fork_rng(devices=[]):
        again = fresh()
        load_state(again, tmp_path / "state")
    for name in NUMBERS:
        assert getattr(again, name) == getattr(trained, name), name
    for one, other in (
        (again.network.state_dict(), trained.network.state_dict()),
        (again.best, trained.best),
    ):
        assert state_bytes(one) == state_bytes(other)
    # Adam goes on with the same moments: the next step is the same step.
    for state in (again, trained):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(1)
            step(state)
    assert state_bytes(again.network.state_dict()) == state_bytes(trained.network.state_dict())


def test_the_random_state_comes_back(trained, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        save_state(trained, tmp_path / "state")
        expected = torch.rand(4)
        load_state(fresh(), tmp_path / "state")
        assert torch.equal(torch.rand(4), expected)


def test_before_the_first_epoch_ends_there_is_no_best(tmp_path):
    state = fresh()
    step(state)
    save_state(state, tmp_path / "state")
    again = fresh()
    load_state(again, tmp_path / "state")
    assert again.best == {}
    assert again.best_loss == float("inf")


def test_another_fit_does_not_go_on_from_it(trained, tmp_path):
    save_state(trained, tmp_path / "state")
    other = fresh("that fit")
    before = state_bytes(other.network.state_dict())
    with pytest.raises(
        RunError, match=r"was left by another fit \(this fit; this one is that fit\); delete"
    ):
        load_state(other, tmp_path / "state")
    assert state_bytes(other.network.state_dict()) == before


def test_another_size_of_network_is_told(trained, tmp_path):
    save_state(trained, tmp_path / "state")
    with (
        torch.random.fork_rng(devices=[]),
        pytest.raises(RunError, match=r"state is damaged .*; delete the file, the fit then starts"),
    ):
        load_state(fresh(units=4), tmp_path / "state")


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_cut_off_or_overwritten_is_told_or_harmless(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged-state"
    save_state(fresh(), path)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(RunError, match=r"damaged-state is damaged"):
            load_state(fresh(), path)
        return
    # The head names the tensors; a byte changed in it must not pass in silence.
    at = data.draw(st.integers(0, int.from_bytes(whole[:8], "little") + 7))
    path.write_bytes(
        whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    )
    state = fresh()
    with torch.random.fork_rng(devices=[]):
        try:
            load_state(state, path)
        except RunError:
            return
    assert all(np.isfinite(t.numpy()).all() for t in state.network.state_dict().values())
