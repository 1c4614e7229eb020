"""A GPU beside the CPU: the same numbers, and how fast it trains, predicts and covers images.

    python benchmarks/gpu.py                    at most six minutes on one GPU; writes the table
    python benchmarks/gpu.py --tiny --device cpu    the same steps in small, prints alone

Speeds are those of `fit`, `predict` and `occlude` themselves; the bare step beside them is a
forward and backward pass of the same network and optimiser over random images, bf16 both.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from results_file import write_result

from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.prepared import prepare_movies
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import Windows, WindowShape, cut_windows, session_targets, windows_of
from corticode.decode.decoder import Decoder, build_network
from corticode.decode.fit import fit
from corticode.decode.movie_batches import make_batch, plan_epoch
from corticode.decode.predict import predict
from corticode.decode.settings import Network, Training
from corticode.decode.training import make_optimiser
from corticode.explain.masks import SquareGrid, square_masks
from corticode.explain.occlusion import count_passes, occlude

HEADS = ["what", "measured", "bar"]
TRACE_FITS = 700
# Of the study: 20 splits of the CNN, and of the CNN-GRU, each of three epochs.
MODELS, EPOCHS = 20, 3
B0 = {"backbone": "efficientnet-b0", "flavour": "tensorflow", "weights": "none"}
CNN = Network("cnn", **B0)
CNN_GRU = Network("cnn-gru", **B0)
MOVIE = Training(epochs=1, batch_size=128, optimiser="fastai-adam", schedule="one-cycle")


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Parameters
    ----------
    frames, side, movie_frames
        Frames a session of traces; pixels along a movie's side; frames a session of movies.
    batch
        Images of a batch.
    study_windows
        Windows that the study trains on in an epoch of a split (three mice).
    """

    frames: int
    side: int
    movie_frames: int
    batch: int
    study_windows: int = 570_000


WHOLE = Size(18_000, 128, 6_000, 128)
TINY = Size(600, 32, 400, 16)


def trace_windows(size: Size, name: str, seed: int) -> Windows:
    """Windows of 31 frames of 50 regions, of which some follow what is decoded."""
    rng = np.random.default_rng(seed)
    run = (np.arange(size.frames) // 40 % 2).astype(float)
    traces = rng.normal(size=(size.frames, 50)) + run[:, None] * (np.arange(50) < 4)
    regions = tuple(map(str, range(50)))
    session = Session(
        name, "a", traces, regions, {"run": run}, np.zeros(size.frames, np.int32), 30.0
    )
    return cut_windows([session], Target("run"), WindowShape(15, 15))


def movie_windows(size: Size, folder: Path, name: str, window: WindowShape) -> Windows:
    """Windows of a movie in which a square glows with what is decoded, memory-mapped."""
    rng = np.random.default_rng(len(name))
    run = (np.arange(size.movie_frames) // 20 % 2).astype(float)
    movie = rng.integers(2_000, 4_000, (size.movie_frames, size.side, size.side), dtype=np.uint16)
    half = size.side // 2
    movie[:, : half // 2, :half] += (800 * run).astype(np.uint16)[:, None, None]
    path = folder / f"{name}.npy"
    np.save(path, movie)
    segment = np.zeros(size.movie_frames, np.int32)
    mapped = np.load(path, mmap_mode="r")
    session = Session(name, "a", None, (), {"run": run}, segment, 30.0, mapped)
    prepared = prepare_movies([session], PixelPreprocessing())
    target = Target("run")
    return windows_of(
        prepared,
        target,
        session_targets(prepared, target),
        window,
        np.zeros(0, np.bool_),
        input="movie",
    )


def wait(device: str) -> float:
    """The time once the device has done what it was given, seconds."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def largest_difference(decoder: Decoder, windows: Windows, device: str) -> float:
    """Between scores of one decoder on the CPU and on the device."""
    scores = [predict(decoder, windows, part=None, device=one).score for one in ("cpu", device)]
    return float(np.abs(scores[0] - scores[1]).max())


def rows_of_traces(size: Size, device: str) -> list[list[str]]:
    """A gru of the study's size: the same numbers, and the study's 700 fits projected."""
    train, valid = (trace_windows(size, name, k) for k, name in enumerate(("m1", "m2")))
    own = [fit(train, valid, "gru", Training(epochs=1), device=one) for one in ("cpu", device)]
    last = fit(train, valid, "gru", Training(epochs=2), device=device)
    per_window = last.history[-1]["train_s"] / last.history[-1]["train_windows"]
    hours = TRACE_FITS * 30 * size.study_windows * per_window / 3600
    scores = [predict(one, valid, part=None).score for one in own]
    apart = float(np.abs(scores[0] - scores[1]).max())
    same = largest_difference(last, valid, device)
    return [
        ["gru of 50 regions, fitted on either: scores apart by", f"{apart:.1e}", "<= 1e-3"],
        ["one decoder's scores on either apart by", f"{same:.1e}", "<= 1e-4"],
        ["windows/s trained", f"{1 / per_window:,.0f}", ""],
        [f"{TRACE_FITS} fits of 30 epochs, one by one, projected", f"{hours:.2f} h", "<= 0.5 h"],
    ]


def bare_rate(network: Network, size: Size, device: str, *, trains: bool) -> float:
    """Images/s of the network's CNN alone, with or without a step, bf16."""
    cnn = build_network(network, WindowShape(0, 0), n_regions=0, n_outputs=1).inner.cnn.to(device)
    optimiser = make_optimiser(cnn, MOVIE)
    images = torch.randn(size.batch, 3, size.side, size.side, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    n_turns = 20 if size is WHOLE else 2

    def turn() -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            if not trains:
                with torch.no_grad():
                    cnn(images)
                return
            optimiser.zero_grad(set_to_none=True)
            loss = cnn(images).square().mean()
        loss.backward()
        optimiser.step()

    cnn.train(trains)
    turn()
    began = wait(device)
    for _ in range(n_turns):
        turn()
    return n_turns * size.batch / (wait(device) - began)


def images_of(windows: Windows, training: Training) -> int:
    """How many images pass the CNN in the first epoch."""
    epoch = plan_epoch(windows, training, seed=0, epoch=1)
    return sum(len(make_batch(windows, batch).images) for batch in epoch)


def rows_of_movies(
    size: Size, device: str, folder: Path, network: Network, window: WindowShape
) -> list[list[str]]:
    """EfficientNet-B0 on single images or on windows: trained, predicted, covered."""
    train, valid = (movie_windows(size, folder, name, window) for name in ("m1", "m-2"))
    # Enough bouts of either class for a score.
    few = valid.where(np.arange(min(valid.n_windows, max(360, 4 * size.batch))))
    is_single = network.kind == "cnn"
    batch = size.batch if is_single else size.batch // 4
    training = replace(MOVIE, batch_size=batch, mixed_precision=True)
    decoder = fit(train, few, network, training, device=device)
    row = decoder.history[-1]
    n_images = row["train_windows"] if is_single else images_of(train, training)
    trained, bare = n_images / row["train_s"], bare_rate(network, size, device, trains=True)
    began = wait(device)
    predict(decoder, valid, part=None, device=device)
    predicted = size.movie_frames / (wait(device) - began)
    forward = bare_rate(network, size, device, trains=False)
    masks = square_masks(SquareGrid((size.side, size.side)))[:4]
    began = wait(device)
    occlude(decoder, few, masks, device=device)
    covered = count_passes(few, len(masks)) / (wait(device) - began)
    apart = largest_difference(decoder, few, device)
    hours = MODELS * EPOCHS * size.study_windows * row["train_s"] / row["train_windows"] / 3600
    rows = [
        ["scores of one decoder on either apart by", f"{apart:.1e}", "<= 1e-3"],
        ["images/s trained", f"{trained:,.0f}", ""],
        ["over a bare step", f"{trained / bare:.2f} ({bare:,.0f} images/s)", ">= 0.85"],
        ["frames/s predicted", f"{predicted:,.0f}", ""],
        ["over a bare forward pass", f"{predicted / forward:.2f}", ""],
        [f"images/s while {len(masks)} squares are covered", f"{covered:,.0f}", ""],
        [f"{MODELS} models of {EPOCHS} epochs projected", f"{hours:.2f} h", "<= 2.5 h together"],
    ]
    return [[f"B0 {network.kind}: {what}", *cells] for what, *cells in rows]


def main() -> None:
    """Measure; write the table, or print it alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU is here; python benchmarks/gpu.py --tiny --device cpu tries the steps")
    torch.set_num_threads(1)
    size = TINY if asked.tiny else WHOLE
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        rows = rows_of_traces(size, asked.device)
        for network, window in ((CNN, WindowShape(0, 0)), (CNN_GRU, WindowShape(5, 5))):
            rows += rows_of_movies(size, asked.device, Path(name), network, window)
    if asked.device == "cuda":
        held_gb = torch.cuda.max_memory_allocated() / 1e9
        rows.append(["GB of the GPU's memory at most", f"{held_gb:.1f}", ""])
    rows.append(["minutes in all", f"{(time.perf_counter() - began) / 60:.1f}", "<= 6"])
    if asked.device != "cuda" or asked.tiny:
        for row in rows:
            print(" | ".join(row))
        return
    write_result("gpu", HEADS, rows, gpu=torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
