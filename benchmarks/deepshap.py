"""Deep SHAP: its sums, its time and its memory.

Time is set against as many forward and backward passes of a GRU cell written out in PyTorch, whose
gradients autograd finds, in the same process and in turns, as machines are shared. Memory is
RssAnon over what it is before the first call.
"""

import time

import numpy as np
import torch
from results_file import write_result
from torch import Tensor, nn
from training_memory import Peak, anonymous_mb

from corticode.data.preprocess import Preprocessing
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import Windows, WindowShape, cut_windows
from corticode.decode.decoder import Decoder, ScaledNetwork
from corticode.decode.networks.traces import CELLS, RecurrentNetwork, SpeedNetwork
from corticode.decode.settings import Network, Training
from corticode.explain.deepshap import deep_shap

N_REGIONS, N_FRAMES, N_WINDOWS, N_BACKGROUND, ROUNDS, BATCH = 50, 31, 1000, 20, 5, 1000


def some_windows(n_windows: int, target: str = "binary") -> Windows:
    """Windows of smooth made-up traces."""
    rng = np.random.default_rng(0)
    n_frames = n_windows + N_FRAMES - 1
    traces = np.cumsum(rng.normal(size=(n_frames, N_REGIONS)), axis=0) * 0.05
    signal = (np.arange(n_frames) // 50 % 2).astype(float)
    names = tuple(str(k + 1) for k in range(N_REGIONS))
    session = Session("m1", "a", traces, names, {"run": signal}, np.zeros(n_frames, np.int32), 30.0)
    aim = Target("run", kind=target)
    return cut_windows([session], aim, WindowShape(15, 15), preprocessing=Preprocessing())


class Stacked(RecurrentNetwork):
    """The recurrent network with one or two layers."""

    def __init__(self, cell: str, n_layers: int, bidirectional: bool) -> None:
        super().__init__(cell, n_regions=N_REGIONS, bidirectional=bidirectional)
        self.recurrent = CELLS[cell](
            N_REGIONS, 32, n_layers, batch_first=True, bidirectional=bidirectional
        )
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits."""
        _, state = self.recurrent(windows)
        hidden = state[0] if isinstance(state, tuple) else state
        last = hidden[-2:] if self.recurrent.bidirectional else hidden[-1:]
        return self.dense(torch.cat(list(last), dim=1))


class WrittenGRU(nn.Module):
    """A GRU cell written out, for autograd."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.recalled = nn.Linear(N_REGIONS, 96), nn.Linear(32, 96)
        self.dense = nn.Linear(32, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Logits."""
        state = windows.new_zeros(windows.shape[0], 32)
        for frame in self.seen(windows).unbind(1):
            r, z, n = frame.chunk(3, 1)
            hr, hz, hn = self.recalled(state).chunk(3, 1)
            candidate = torch.tanh(n + torch.sigmoid(r + hr) * hn)
            state = candidate + torch.sigmoid(z + hz) * (state - candidate)
        return self.dense(state)


def decoder_of(network: nn.Module, windows: Windows, kind: str = "gru") -> Decoder:
    """A decoder that was never fitted."""
    scaled = ScaledNetwork(network, N_REGIONS).eval()
    target = windows.recipe.target.kind
    settings = Network(kind)
    return Decoder(scaled, settings, Training(), 0, windows.recipe, target, (), 1, "", ("m1",))


def seconds_of_passes(network: WrittenGRU, inputs: Tensor) -> float:
    """Forward and backward to the inputs, for windows times backgrounds."""
    began = time.perf_counter()
    for _ in range(N_WINDOWS * N_BACKGROUND // BATCH):
        given = inputs[:BATCH].detach().requires_grad_()
        torch.autograd.grad(network(given).sum(), given)
    return time.perf_counter() - began


def additivity_rows(windows: Windows, background: Windows) -> list[list[str]]:
    """A row for each form."""
    few = windows.where(np.arange(0, windows.n_windows, 10))
    rows = []
    for cell in CELLS:
        for n_layers in (1, 2):
            for both in (False, True):
                torch.manual_seed(0)
                decoder = decoder_of(Stacked(cell, n_layers, both), few)
                error = deep_shap(decoder, few, background).details["additivity_error"]
                name = f"{'bi-' * both}{cell}, {n_layers} layer{'s' * (n_layers - 1)}"
                rows.append([f"additivity error, {name}", f"{error:.1e}", "", "< 1e-4"])
    torch.manual_seed(0)
    values = some_windows(100, "value")
    decoder = decoder_of(SpeedNetwork(n_regions=N_REGIONS), values, "speed")
    found = deep_shap(decoder, values, values.where(np.arange(20)))
    error = found.details["additivity_error"]
    return [*rows, ["additivity error, speed", f"{error:.1e}", "", "< 1e-4"]]


def memory_rows(decoder: Decoder, background: Windows) -> list[list[str]]:
    """Peak memory for more windows than one block holds, before anything else was explained."""
    sets = [some_windows(n_windows) for n_windows in (4_000, 12_000)]
    before, rows = anonymous_mb(), []
    for many in sets:
        peak = Peak()
        peak.start()
        deep_shap(decoder, many, background)
        peak.ended.set()
        peak.join()
        said = f"{peak.highest - before:.0f}"
        what = f"peak RssAnon above the start, {many.n_windows:,} windows, MB"
        rows.append([what, said, "", "< 500"])
    return rows


def main() -> None:
    """Measure and write the table."""
    torch.set_num_threads(1)
    windows = some_windows(N_WINDOWS)
    background = windows.where(np.arange(0, N_WINDOWS, N_WINDOWS // N_BACKGROUND))
    written, decoder = WrittenGRU(), decoder_of(Stacked("gru", 1, False), windows)
    # First, as memory that is given back may stay with the process.
    memory = memory_rows(decoder, background)
    rows = additivity_rows(windows, background)
    inputs = torch.from_numpy(windows.values())
    passes, own = [seconds_of_passes(written, inputs)], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        deep_shap(decoder, windows, background)
        own.append(time.perf_counter() - began)
        passes.append(seconds_of_passes(written, inputs))
    ratios = [own[k] / ((passes[k] + passes[k + 1]) / 2) for k in range(ROUNDS)]
    what = f"{N_WINDOWS:,} windows x {N_BACKGROUND} backgrounds"
    rows += [
        _row(f"Deep SHAP of a GRU, {what}, s", own, ""),
        _row("as many passes of a written-out cell, there and back, s", passes, ""),
        _row("Deep SHAP over passes before and after it", ratios, "<= 1.5"),
    ]
    rows += memory
    write_result("deepshap", ["what", "median", "lowest to highest", "bar"], rows)


def _row(what: str, values: list[float], bar: str) -> list[str]:
    return [what, f"{np.median(values):.2f}", f"{min(values):.2f} to {max(values):.2f}", bar]


if __name__ == "__main__":
    main()
