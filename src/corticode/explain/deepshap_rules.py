"""Deep SHAP's rules: through one step of a recurrent cell, and through whole networks.

For a window and a background, a multiplier says by how much the output differs for each unit that
a quantity differs. Linear parts hand multipliers on exactly. A nonlinearity a -> y has the slope
dy / da between window and background (Rescale; Lundberg and Lee 2017). A product of two quantities
that both vary takes the mean of both orders: each factor's multiplier is the mean of the other
one, as in the Shapley values of a product. Multipliers times differences then add up to the
difference of the outputs, to rounding.

Tensors of single windows are (frame, window, ...); those of pairs (window, background, ...).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from corticode.decode.networks.traces import (
    KerasGRUNetwork,
    LinearNetwork,
    RecurrentNetwork,
    SpeedNetwork,
)
from corticode.errors import DecoderError

# Below this the quotient of two rounded differences says less than the derivative.
SMALLEST_DIFFERENCE = 1e-4
EXPLAINED = ("rnn", "lstm", "gru", "bi-...", "gru-keras", "speed", "linear-frame", "linear-window")


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


@dataclass(frozen=True)
class Cell:
    """A recurrent cell's steps there (`run`) and back (`back`).

    Parameters
    ----------
    input_weight
        From the input to what enters the gates, (row, input).
    bias
        What is added to that, (row,).
    state_weight
        From the state before to what enters the gates, (row, unit).
    """

    input_weight: Tensor
    bias: Tensor
    state_weight: Tensor

    @property
    def n_units(self) -> int:
        """Units of the state."""
        return self.state_weight.shape[1]

    def run(self, products: Tensor) -> Activity:
        """The cell's activity, given input_weight @ inputs + bias, (frame, window, row)."""
        raise NotImplementedError

    def back(self, carried: Carried, slopes: Tensor, factors: Tensor) -> tuple[Tensor, Carried]:
        """Multipliers of one frame's products and of the state before it."""
        raise NotImplementedError


def _rescale(window: Activity, background: Activity, frame: int) -> Tensor:
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


def _mean_factors(window: Activity, background: Activity, frame: int) -> Tensor:
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
class SimpleCell(Cell):
    """h' = tanh(a) or relu(a), a = W x + b + U h."""

    relu: bool = False

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
class LSTMCell(Cell):
    """c' = f c + i g, h' = o tanh(c'); rows of the weights in the order i, f, g, o."""

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
class GRUCell(Cell):
    """h' = n + z (h - n), n = tanh(W x + b + r (U h + c)); rows in the order r, z, n."""

    state_bias: Tensor

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
class KerasGRUCell(Cell):
    """h' = n + z (h - n), n = tanh(W x + b + U (r h)), hard sigmoids; rows in the order z, r, n.

    The hard sigmoid's slope of 0.2 and its 0.5 are part of weights and bias: gates are clip(a, 0,
    1).
    """

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


class ForwardPass(NamedTuple):
    """What a network went through on some windows.

    Parameters
    ----------
    inputs
        Scaled, (frame, window, region).
    layers
        The activity of each recurrent layer's cells, one a direction.
    values
        What enters each dense layer's nonlinearity, and what leaves it, (window, unit).
    outputs
        (window, output).
    """

    inputs: Tensor
    layers: tuple[tuple[Activity, ...], ...]
    values: tuple[tuple[Tensor, Tensor], ...]
    outputs: Tensor


@dataclass(frozen=True)
class Dense:
    """weight @ x + bias, then ReLU where `relu` is True; weight is (output, input)."""

    weight: Tensor
    bias: Tensor
    relu: bool = False


@dataclass(frozen=True)
class NetworkRules:
    """A network as recurrent layers, whose final states are read, and dense layers.

    Parameters
    ----------
    layers
        One or two cells a layer: forwards, backwards. None: all frames are read as they are.
    dense
        What follows the final state of each direction (or all frames, laid end to end).
    n_frames
        Frames of a window.
    """

    layers: tuple[tuple[Cell, ...], ...]
    dense: tuple[Dense, ...]
    n_frames: int

    def forward_pass(self, inputs: Tensor) -> ForwardPass:
        """What happens on the way from inputs, (frame, window, region), to outputs."""
        layers, sequence = [], inputs
        for cells in self.layers:
            activities = []
            for direction, cell in enumerate(cells):
                products = sequence @ cell.input_weight.t() + cell.bias
                activities.append(cell.run(products.flip(0) if direction else products))
            layers.append(tuple(activities))
            states = [
                activity.states.flip(0) if direction else activity.states
                for direction, activity in enumerate(activities)
            ]
            sequence = torch.cat(states, dim=2)
        if layers:
            read = torch.cat([activity.states[-1] for activity in layers[-1]], dim=1)
        else:
            read = inputs.transpose(0, 1).flatten(1)
        values = []
        for dense in self.dense:
            before = torch.addmm(dense.bias, read, dense.weight.t())
            read = before.relu() if dense.relu else before
            values.append((before, read))
        return ForwardPass(inputs, tuple(layers), tuple(values), read)

    def contributions(
        self, window: ForwardPass, background: ForwardPass, multiplier: Tensor
    ) -> Tensor:
        """Contributions of each input, summed over backgrounds.

        Parameters
        ----------
        window, background
            What happened on each.
        multiplier
            Of each output, (window, background, output).

        Returns
        -------
        Tensor
            (window, frame, region).
        """
        frames, n_windows, n_regions = window.inputs.shape
        multiplier = self._through_dense(window, background, multiplier)
        summed = window.inputs.new_zeros(frames, n_windows, n_regions)
        if not self.layers:
            by_frame = multiplier.reshape(n_windows, -1, frames, n_regions)
            difference = window.inputs.transpose(0, 1)[:, None] - background.inputs.transpose(0, 1)
            return (by_frame * difference).sum(1)
        above: Tensor | None = None
        for layer in range(len(self.layers) - 1, 0, -1):
            below: Tensor | None = None
            for frame, found in self._through_layer(layer, window, background, multiplier, above):
                if below is None:
                    below = found.new_zeros(frames, *found.shape)
                below[frame] += found
            above = below
        for frame, found in self._through_layer(0, window, background, multiplier, above):
            difference = window.inputs[frame][:, None] - background.inputs[frame]
            summed[frame] += difference.mul_(found).sum(1)
        return summed.transpose(0, 1)

    def _through_dense(
        self, window: ForwardPass, background: ForwardPass, multiplier: Tensor
    ) -> Tensor:
        for k in range(len(self.dense) - 1, -1, -1):
            if self.dense[k].relu:
                before = window.values[k][0]
                multiplier = multiplier * slope_between(
                    window.values[k], background.values[k], (before > 0).to(before.dtype)
                )
            multiplier = multiplier @ self.dense[k].weight
        return multiplier

    def _through_layer(
        self,
        layer: int,
        window: ForwardPass,
        background: ForwardPass,
        final: Tensor,
        above: Tensor | None,
    ) -> Iterator[tuple[int, Tensor]]:
        """Multipliers of a layer's input, (window, background, input), frame by frame.

        The last layer gets those of its final states, `final`; the one below, those of its
        outputs, `above`, (frame, window, background, unit of each direction).
        """
        first = 0
        for direction, cell in enumerate(self.layers[layer]):
            units = slice(first, first + cell.n_units)
            first += cell.n_units
            seen, unseen = window.layers[layer][direction], background.layers[layer][direction]
            is_read = layer == len(self.layers) - 1
            carried = Carried(final[..., units] if is_read else torch.zeros_like(final[..., :1]))
            for step in range(self.n_frames - 1, -1, -1):
                frame = self.n_frames - 1 - step if direction else step
                if above is not None:
                    carried = carried._replace(state=carried.state + above[frame][..., units])
                entering, carried = cell.back(
                    carried, _rescale(seen, unseen, step), _mean_factors(seen, unseen, step)
                )
                yield frame, entering @ cell.input_weight


def rules_of(network: nn.Module, n_frames: int) -> NetworkRules:
    """The rules for a network between input and output scale.

    Parameters
    ----------
    network
        One of `corticode.decode.networks`.
    n_frames
        Frames of its windows.

    Raises
    ------
    DecoderError
        There is no rule for such a network.

    Examples
    --------
    >>> rules = rules_of(RecurrentNetwork("gru", n_regions=50, bidirectional=True), 31)
    >>> rules.forward_pass(torch.zeros(31, 4, 50)).outputs.shape
    torch.Size([4, 1])
    """
    if isinstance(network, RecurrentNetwork):
        return NetworkRules(_layers_of(network.recurrent), (_dense_of(network.dense),), n_frames)
    if isinstance(network, SpeedNetwork):
        layers = [layer for module in network.recurrent for layer in _layers_of(module)]
        return NetworkRules(tuple(layers), _dense_of_speed(network), n_frames)
    if isinstance(network, KerasGRUNetwork):
        cell = _keras_cell(network)
        return NetworkRules(((cell,),), (_dense_of(network.dense),), n_frames)
    if isinstance(network, LinearNetwork):
        return NetworkRules((), (_dense_of_linear(network, n_frames),), n_frames)
    raise no_rule(f"a {type(network).__name__}")


def no_rule(what: str) -> DecoderError:
    """The error for something that Deep SHAP cannot explain, with what can."""
    return DecoderError(
        f"Deep SHAP has no rule for {what}; it has for decoders of kind {', '.join(EXPLAINED)}. "
        "Take expected_gradients or integrated_gradients, which explain any decoder, or cover "
        "parts of the input"
    )


def _layers_of(module: nn.Module) -> tuple[tuple[Cell, ...], ...]:
    """The cells of `torch.nn.RNN`, `LSTM` or `GRU`, by layer and direction."""
    if not isinstance(module, nn.RNN | nn.LSTM | nn.GRU) or module.proj_size:
        raise no_rule(f"the recurrent layer {module}")
    endings = ("", "_reverse") if module.bidirectional else ("",)
    return tuple(
        tuple(_cell_of(module, f"l{layer}{ending}") for ending in endings)
        for layer in range(module.num_layers)
    )


def _cell_of(module: nn.RNN | nn.LSTM | nn.GRU, name: str) -> Cell:
    input_weight, state_weight = (
        getattr(module, f"weight_{part}_{name}").detach() for part in ("ih", "hh")
    )
    if module.bias:
        bias, state_bias = (
            getattr(module, f"bias_{part}_{name}").detach() for part in ("ih", "hh")
        )
    else:
        bias = state_bias = input_weight.new_zeros(input_weight.shape[0])
    if isinstance(module, nn.GRU):
        return GRUCell(input_weight, bias, state_weight, state_bias)
    if isinstance(module, nn.LSTM):
        return LSTMCell(input_weight, bias + state_bias, state_weight)
    return SimpleCell(input_weight, bias + state_bias, state_weight, module.nonlinearity == "relu")


def _keras_cell(network: KerasGRUNetwork) -> KerasGRUCell:
    n_gates = 2 * network.n_units
    scale = network.bias.new_ones(network.bias.shape[0])
    scale[:n_gates] = 0.2
    bias = network.bias.detach() * scale
    bias[:n_gates] += 0.5
    return KerasGRUCell(
        network.input_weight.detach() * scale[:, None],
        bias,
        network.state_weight.detach() * scale[:, None],
    )


def _dense_of(linear: nn.Linear) -> Dense:
    return Dense(linear.weight.detach(), linear.bias.detach())


def _dense_of_linear(network: LinearNetwork, n_frames: int) -> Dense:
    """A linear decoder's weights over all frames; those it does not see have none."""
    seen = network.weight.detach()
    weight = seen.new_zeros(seen.shape[0], n_frames, seen.shape[2])
    weight[:, network.first_frame : network.first_frame + network.n_frames] = seen
    return Dense(weight.flatten(1), network.bias.detach())


def _dense_of_speed(network: SpeedNetwork) -> tuple[Dense, ...]:
    """Dense layers with the batch normalisation before them, whose statistics are fixed."""
    found = []
    norms = cast(Sequence[nn.BatchNorm1d], network.norm)
    linears = cast(Sequence[nn.Linear], network.dense)
    for k, (norm, linear) in enumerate(zip(norms, linears, strict=True)):
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        gain = (norm.weight / (variance + norm.eps).sqrt()).detach()
        offset = (norm.bias - mean * gain).detach()
        weight, bias = linear.weight.detach(), linear.bias.detach()
        found.append(Dense(weight * gain, bias + weight @ offset, k < len(linears) - 1))
    return tuple(found)
