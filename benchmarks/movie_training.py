"""Stage-2 training of CNN-GRU on movies (B0, 128 x 128, 5 images on each side, batch 32).

CNN passes are counted as images that enter the first convolution. Images/s are those of `fit`
itself, one thread, in turns with a bare forward and backward pass of B0 over as many images, so
that other work on the machine falls on both; the ratio is the median over the turns. So is that of
bare training with our gradient of filters of small images over torch's own, for two image sizes.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from results_file import write_result

from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.prepared import prepare_movies
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import Windows, WindowShape, session_targets, windows_of
from corticode.decode.decoder import build_network
from corticode.decode.movie_batches import make_batch, plan_epoch
from corticode.decode.networks import efficientnet
from corticode.decode.settings import Network, Training
from corticode.decode.training import TrainingState, make_optimiser, train_network

N_SESSIONS, N_FRAMES, SIDE, TURNS = 4, 600, 128, 5
SIDES, N_COMPARED = (64, SIDE), 256
NETWORK = Network("cnn-gru", backbone="efficientnet-b0", flavour="tensorflow", weights="none")
TRAINING = Training(
    epochs=1, batch_size=32, optimiser="fastai-adam", schedule="one-cycle", share=0.08
)


def noise_windows(folder: Path) -> Windows:
    """Windows of movies of noise, memory-mapped."""
    rng = np.random.default_rng(0)
    sessions = []
    for k in range(N_SESSIONS):
        path = folder / f"{k}.npy"
        np.save(path, rng.integers(2_000, 4_000, (N_FRAMES, SIDE, SIDE), dtype=np.uint16))
        run = (np.arange(N_FRAMES) // 30 % 2).astype(float)
        segment = np.zeros(N_FRAMES, np.int32)
        movie = np.load(path, mmap_mode="r")
        sessions.append(Session("m1", str(k), None, (), {"run": run}, segment, 30.0, movie))
    prepared = prepare_movies(sessions, PixelPreprocessing())
    target = Target("run")
    targets = session_targets(prepared, target)
    none = np.zeros(0, np.bool_)
    return windows_of(prepared, target, targets, WindowShape(5, 5), none, input="movie")


def bare_seconds(n_images: int, n_a_batch: int, side: int = SIDE) -> float:
    """Forward, backward and a step of B0 alone, an image, in batches of that size."""
    network = build_network(NETWORK, WindowShape(5, 5), n_regions=0, n_outputs=1)
    cnn = network.inner.cnn.train()
    optimiser = make_optimiser(cnn, TRAINING)
    images = torch.randn(n_a_batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    began = time.perf_counter()
    for _ in range(round(n_images / n_a_batch)):
        optimiser.zero_grad(set_to_none=True)
        cnn(images).square().mean().backward()
        optimiser.step()
    return (time.perf_counter() - began) / (round(n_images / n_a_batch) * n_a_batch)


def few_pixels_gain(n_a_batch: int, side: int) -> float:
    """How many times as fast bare training is for not leaving small filters to torch."""
    own = efficientnet.FEW_PIXELS
    ratios = []
    for _ in range(TURNS):
        ours = bare_seconds(N_COMPARED, n_a_batch, side)
        efficientnet.FEW_PIXELS = 0
        try:
            ratios.append(bare_seconds(N_COMPARED, n_a_batch, side) / ours)
        finally:
            efficientnet.FEW_PIXELS = own
    return float(np.median(ratios))


def fit_seconds(windows: Windows) -> tuple[float, int, int]:
    """Seconds of training an image, images that passed the CNN, windows; validation left out."""
    n_images = []
    network = build_network(NETWORK, windows.recipe.window, n_regions=0, n_outputs=1)
    network.inner.cnn.features[0].register_forward_hook(
        lambda module, inputs, _: n_images.append(len(inputs[0])) if module.training else None
    )
    state = TrainingState(network, make_optimiser(network, TRAINING))
    valid = windows.where(np.arange(40))
    train_network(state, windows, valid, TRAINING, 0)
    row = state.history[0]
    return row["train_s"] / sum(n_images), sum(n_images), int(row["train_windows"])


def main() -> None:
    """Measure and write the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        windows = noise_windows(Path(name))
        whole = plan_epoch(windows, replace(TRAINING, share=1.0), seed=0, epoch=1)
        planned = sum(len(make_batch(windows, batch).images) for batch in whole)
        n_a_batch = round(planned / len(whole))
        ratios, speeds = [], []
        for _ in range(TURNS):
            ours, n_images, n_windows = fit_seconds(windows)
            bare = bare_seconds(n_images, n_a_batch)
            ratios.append(bare / ours)
            speeds.append(1 / ours)
    ratio, passes = float(np.median(ratios)), planned / windows.n_windows
    write_result(
        "movie_training",
        ["what", "measured", "bar", "verdict"],
        [
            [
                "CNN passes a labelled window, whole epoch",
                f"{passes:.2f} (published: 11)",
                "<= 2.0",
                "met" if passes <= 2 else "missed",
            ],
            ["the same, counted in the timed fits", f"{n_images / n_windows:.2f}", "", ""],
            ["images/s trained, one thread, median", f"{np.median(speeds):.1f}", "", ""],
            [
                "over bare B0 training",
                f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                ">= 0.85",
                "met" if ratio >= 0.85 else "missed",
            ],
            *[
                [
                    f"bare B0 training over torch's own gradient of small filters, {side} x {side}",
                    f"{few_pixels_gain(n_a_batch, side):.2f}",
                    "",
                    "",
                ]
                for side in SIDES
            ],
        ],
    )


if __name__ == "__main__":
    main()
