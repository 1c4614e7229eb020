"""Deep SHAP through whole networks: which rule each layer has, and how they follow each other."""

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
from corticode.explain.cell_rules import (
    Activity,
    Carried,
    Cell,
    GRUCell,
    KerasGRUCell,
    LSTMCell,
    SimpleCell,
    mean_factors,
    rescale,
    slope_between,
)

EXPLAINED = ("rnn", "lstm", "gru", "bi-...", "gru-keras", "speed", "linear-frame", "linear-window")


class Walk(NamedTuple):
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

    def walk(self, inputs: Tensor) -> Walk:
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
        return Walk(inputs, tuple(layers), tuple(values), read)

    def contributions(self, window: Walk, background: Walk, multiplier: Tensor) -> Tensor:
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

    def _through_dense(self, window: Walk, background: Walk, multiplier: Tensor) -> Tensor:
        for k in range(len(self.dense) - 1, -1, -1):
            if self.dense[k].relu:
                before = window.values[k][0]
                multiplier = multiplier * slope_between(
                    window.values[k], background.values[k], (before > 0).to(before.dtype)
                )
            multiplier = multiplier @ self.dense[k].weight
        return multiplier

    def _through_layer(
        self, layer: int, window: Walk, background: Walk, final: Tensor, above: Tensor | None
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
                    carried, rescale(seen, unseen, step), mean_factors(seen, unseen, step)
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
    >>> rules.walk(torch.zeros(31, 4, 50)).outputs.shape
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
