"""Deep SHAP through one step of a recurrent cell: multipliers from its new state to what it saw.

For a window and a background, a multiplier says by how much the output differs for each unit that
a quantity differs. Linear parts hand multipliers on exactly. A nonlinearity a -> y has the slope
dy / da between window and background (Rescale; Lundberg and Lee 2017). A product of two quantities
that both vary takes the mean of both orders: each factor's multiplier is the mean of the other
one, as in the Shapley values of a product. Multipliers times differences then add up to the
difference of the outputs, to rounding.

Tensors of single windows are (frame, window, ...); those of pairs (window, background, ...).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

# Below this the quotient of two rounded differences says less than the derivative.
SMALLEST_DIFFERENCE = 1e-4


class Activity(NamedTuple):
    """What a cell went through on some windows; frames first, in the cell's own order.

    Parameters
    ----------
    states
        After each frame, (frame, window, unit).
    before, after, slopes
        What enters the nonlinearities, what leaves them, and their derivatives there; shape
        (frame, window, nonlinearity).
    halves
        Half of each factor of a product, (frame, window, factor): a sum of two is a mean.
    """

    states: Tensor
    before: Tensor
    after: Tensor
    slopes: Tensor
    halves: Tensor


class Carried(NamedTuple):
    """Multipliers of what a cell hands from frame to frame, (window, background, unit)."""

    state: Tensor
    memory: Tensor | None = None


class Cell(Protocol):
    """A recurrent cell's steps there (`run`) and back (`back`)."""

    @property
    def input_weight(self) -> Tensor:
        """From the input to what enters the gates, (row, input)."""
        ...

    @property
    def bias(self) -> Tensor:
        """What is added to that, (row,)."""
        ...

    @property
    def n_units(self) -> int:
        """Units of the state."""
        ...

    def run(self, products: Tensor) -> Activity:
        """The cell's activity, given input_weight @ inputs + bias, (frame, window, row)."""
        ...

    def back(self, carried: Carried, slopes: Tensor, factors: Tensor) -> tuple[Tensor, Carried]:
        """Multipliers of one frame's products and of the state before it."""
        ...


def rescale(window: Activity, background: Activity, frame: int) -> Tensor:
    """Slopes of a frame's nonlinearities, (window, background, nonlinearity)."""
    return slope_between(
        (window.before[frame], window.after[frame]),
        (background.before[frame], background.after[frame]),
        window.slopes[frame],
    )


def slope_between(
    window: tuple[Tensor, Tensor], background: tuple[Tensor, Tensor], derivative: Tensor
) -> Tensor:
    """Slopes of nonlinearities between each window and each background.

    Parameters
    ----------
    window, background
        What enters and what leaves the nonlinearities, each of shape (window, nonlinearity) and
        (background, nonlinearity).
    derivative
        That at the windows, which is taken where the difference is too small to divide by.

    Returns
    -------
    Tensor
        Shape (window, background, nonlinearity).

    Examples
    --------
    >>> entering = torch.tensor([[2.0]])
    >>> slope_between((entering, entering**2), (0 * entering, 0 * entering), 2 * entering)
    tensor([[[2.]]])
    """
    difference = window[0][:, None] - background[0]
    slopes = (window[1][:, None] - background[1]).div_(difference)
    small = difference.abs_() < SMALLEST_DIFFERENCE
    return torch.where(small, derivative[:, None], slopes)


def mean_factors(window: Activity, background: Activity, frame: int) -> Tensor:
    """Means of a frame's factors over window and background, (window, background, factor)."""
    return window.halves[frame][:, None] + background.halves[frame]


def _sigmoid_slope(after: Tensor) -> Tensor:
    return after * (1 - after)


def _tanh_slope(after: Tensor) -> Tensor:
    return 1 - after * after


def _stacked(frames: Sequence[tuple[Tensor, ...]], slopes: list[Tensor]) -> Activity:
    """An activity from (state, before, after, factors) of each frame."""
    states, before, after, factors = (torch.stack(part) for part in zip(*frames, strict=True))
    return Activity(states, before, after, torch.stack(slopes), factors.mul_(0.5))


@dataclass(frozen=True)
class SimpleCell:
    """h' = tanh(a) or relu(a), a = W x + b + U h."""

    input_weight: Tensor
    bias: Tensor
    state_weight: Tensor
    relu: bool = False

    @property
    def n_units(self) -> int:
        """Units of the state."""
        return self.state_weight.shape[1]

    def run(self, products: Tensor) -> Activity:
        """The cell's activity; it has no products."""
        state = products.new_zeros(products.shape[1], self.n_units)
        frames, slopes = [], []
        for product in products.unbind(0):
            before = torch.addmm(product, state, self.state_weight.t())
            state = before.relu() if self.relu else before.tanh()
            frames.append((state, before, state, state[:, :0]))
            slopes.append((before > 0).to(before.dtype) if self.relu else _tanh_slope(state))
        return _stacked(frames, slopes)

    def back(self, carried: Carried, slopes: Tensor, factors: Tensor) -> tuple[Tensor, Carried]:
        """Multipliers of one frame's products and of the state before it."""
        entering = carried.state * slopes
        return entering, Carried(entering @ self.state_weight)


@dataclass(frozen=True)
class LSTMCell:
    """c' = f c + i g, h' = o tanh(c'); rows of the weights in the order i, f, g, o."""

    input_weight: Tensor
    bias: Tensor
    state_weight: Tensor

    @property
    def n_units(self) -> int:
        """Units of the state."""
        return self.state_weight.shape[1]

    def run(self, products: Tensor) -> Activity:
        """The cell's activity; tanh(c') is the fifth nonlinearity."""
        n_units = self.n_units
        state = memory = products.new_zeros(products.shape[1], n_units)
        frames, slopes = [], []
        for product in products.unbind(0):
            gates = torch.addmm(product, state, self.state_weight.t())
            i, f, o = (gates[:, k * n_units : (k + 1) * n_units].sigmoid() for k in (0, 1, 3))
            g = gates[:, 2 * n_units : 3 * n_units].tanh()
            factors = [g, memory, i, f, o]
            memory = f * memory + i * g
            shown = memory.tanh()
            state = o * shown
            after = torch.cat([i, f, g, o, shown], dim=1)
            before = torch.cat([gates, memory], dim=1)
            frames.append((state, before, after, torch.cat([*factors, shown], dim=1)))
            slope = _sigmoid_slope(after)
            for at, part in ((2, g), (4, shown)):
                slope[:, at * n_units : (at + 1) * n_units] = _tanh_slope(part)
            slopes.append(slope)
        return _stacked(frames, slopes)

    def back(self, carried: Carried, slopes: Tensor, factors: Tensor) -> tuple[Tensor, Carried]:
        """Multipliers of one frame's products, and of state and memory before it."""
        g, memory, i, f, o, shown = torch.split(factors, self.n_units, dim=-1)
        to_memory = carried.state * o * slopes[..., 4 * self.n_units :]
        if carried.memory is not None:
            to_memory += carried.memory
        entering = slopes[..., : 4 * self.n_units]
        to_i, to_f, to_g, to_o = torch.split(entering, self.n_units, dim=-1)
        to_i *= to_memory * g
        to_f *= to_memory * memory
        to_g *= to_memory * i
        to_o *= carried.state * shown
        return entering, Carried(entering @ self.state_weight, to_memory * f)


@dataclass(frozen=True)
class GRUCell:
    """h' = n + z (h - n), n = tanh(W x + b + r (U h + c)); rows in the order r, z, n."""

    input_weight: Tensor
    bias: Tensor
    state_weight: Tensor
    state_bias: Tensor

    @property
    def n_units(self) -> int:
        """Units of the state."""
        return self.state_weight.shape[1]

    def run(self, products: Tensor) -> Activity:
        """The cell's activity."""
        n_units = self.n_units
        state = products.new_zeros(products.shape[1], n_units)
        frames, slopes = [], []
        for product in products.unbind(0):
            from_state = torch.addmm(self.state_bias, state, self.state_weight.t())
            gates = product[:, : 2 * n_units] + from_state[:, : 2 * n_units]
            reset, update = gates.sigmoid().chunk(2, dim=1)
            recalled = from_state[:, 2 * n_units :]
            entering = product[:, 2 * n_units :] + reset * recalled
            candidate = entering.tanh()
            gap = state - candidate
            state = candidate + update * gap
            after = torch.cat([reset, update, candidate], dim=1)
            factors = torch.cat([recalled, gap, reset, update], dim=1)
            frames.append((state, torch.cat([gates, entering], dim=1), after, factors))
            slopes.append(_slopes_of_gated(after, n_units))
        return _stacked(frames, slopes)

    def back(self, carried: Carried, slopes: Tensor, factors: Tensor) -> tuple[Tensor, Carried]:
        """Multipliers of one frame's products and of the state before it."""
        recalled, gap, reset, update = torch.split(factors, self.n_units, dim=-1)
        to_reset, to_update, to_candidate = torch.split(slopes, self.n_units, dim=-1)
        kept = carried.state * update
        to_candidate *= carried.state - kept
        to_update *= gap.mul_(carried.state)
        to_reset *= recalled.mul_(to_candidate)
        # What the state is multiplied by: as the products, but for the candidate's reset gate.
        n_gates = 2 * self.n_units
        to_state = kept + slopes[..., :n_gates] @ self.state_weight[:n_gates]
        to_state += reset.mul_(to_candidate) @ self.state_weight[n_gates:]
        return slopes, Carried(to_state)


@dataclass(frozen=True)
class KerasGRUCell:
    """h' = n + z (h - n), n = tanh(W x + b + U (r h)), hard sigmoids; rows in the order z, r, n.

    The hard sigmoid's slope of 0.2 and its 0.5 are part of weights and bias: gates are clip(a, 0,
    1).
    """

    input_weight: Tensor
    bias: Tensor
    state_weight: Tensor

    @property
    def n_units(self) -> int:
        """Units of the state."""
        return self.state_weight.shape[1]

    def run(self, products: Tensor) -> Activity:
        """The cell's activity."""
        n_units = self.n_units
        state = products.new_zeros(products.shape[1], n_units)
        to_gates = self.state_weight[: 2 * n_units].t()
        to_candidate = self.state_weight[2 * n_units :].t()
        frames, slopes = [], []
        for product in products.unbind(0):
            gates = torch.addmm(product[:, : 2 * n_units], state, to_gates)
            update, reset = gates.clamp(0, 1).chunk(2, dim=1)
            entering = torch.addmm(product[:, 2 * n_units :], reset * state, to_candidate)
            candidate = entering.tanh()
            gap = state - candidate
            factors = torch.cat([state, gap, reset, update], dim=1)
            state = candidate + update * gap
            after = torch.cat([update, reset, candidate], dim=1)
            frames.append((state, torch.cat([gates, entering], dim=1), after, factors))
            inside = ((gates > 0) & (gates < 1)).to(gates.dtype)
            slopes.append(torch.cat([inside, _tanh_slope(candidate)], dim=1))
        return _stacked(frames, slopes)

    def back(self, carried: Carried, slopes: Tensor, factors: Tensor) -> tuple[Tensor, Carried]:
        """Multipliers of one frame's products and of the state before it."""
        state, gap, reset, update = torch.split(factors, self.n_units, dim=-1)
        to_update, to_reset, to_candidate = torch.split(slopes, self.n_units, dim=-1)
        kept = carried.state * update
        to_candidate *= carried.state - kept
        to_update *= carried.state * gap
        n_gates = 2 * self.n_units
        to_product = to_candidate @ self.state_weight[n_gates:]
        to_reset *= to_product * state
        to_state = kept + to_product * reset
        to_state += slopes[..., :n_gates] @ self.state_weight[:n_gates]
        return slopes, Carried(to_state)


def _slopes_of_gated(after: Tensor, n_units: int) -> Tensor:
    """Derivatives where two sigmoid gates come before a tanh."""
    gates, candidate = after[:, : 2 * n_units], after[:, 2 * n_units :]
    return torch.cat([_sigmoid_slope(gates), _tanh_slope(candidate)], dim=1)
