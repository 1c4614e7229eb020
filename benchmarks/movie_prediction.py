"""Predicting a session of movies with CNN-GRU: CNN passes, speed, memory and disk.

A movie of the study's size (18,000 frames of 128 x 128 pixels, 16 bit, noise) is predicted with
EfficientNet-B0 and a GRU over 5 images on each side. CNN passes are counted as images that enter
the first convolution. Speed is that of one thread on the first frames, in turns with a bare B0
forward pass over the same batch, so that other work on the machine falls on both; the ratio is the
median over the turns. Memory is the peak RssAnon of a process that does nothing else.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from results_file import write_result

from corticode.data.catalogue import Recording
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.prepared import StoredStatistics, prepare_movies
from corticode.data.session import Session
from corticode.data.targets import Target
from corticode.data.windows import Windows, WindowShape, windows_of
from corticode.decode.decoder import build_network
from corticode.decode.movie_batches import MovieFrames, images_of, make_batch
from corticode.decode.predict import IMAGES_BATCH, outputs_of_movies
from corticode.decode.settings import Network
from corticode.simulate.movie import write_movie

N_FRAMES, SIDE, TIMED_FRAMES, TURNS = 18_000, 128, 400, 5
NETWORK = Network("cnn-gru", backbone="efficientnet-b0", flavour="tensorflow", weights="none")


def write_noise(path: Path, n_frames: int) -> None:
    """A BigTIFF of noise, written frame by frame."""
    rng = np.random.default_rng(0)
    step = 500
    blocks = (
        rng.integers(2_000, 4_000, (min(step, n_frames - first), SIDE, SIDE), dtype=np.uint16)
        for first in range(0, n_frames, step)
    )
    write_movie(path, blocks, (n_frames, SIDE, SIDE))


def windows_of_movie(path: Path, n_frames: int, statistics: Path) -> Windows:
    """Windows of 11 images at every frame of the movie that has one."""
    from corticode.data.readers.arrays import ArrayLocation
    from corticode.data.session import read_imaging

    recording = Recording("m1", "a", movie=ArrayLocation(path))
    movie = read_imaging(recording)[0]["movie"][:n_frames]
    session = Session("m1", "a", None, (), {}, np.zeros(n_frames, np.int32), 30.0, movie)
    stored = [StoredStatistics(recording, statistics, "key")]
    prepared = prepare_movies([session], PixelPreprocessing(), stored)
    none = np.zeros(0, np.bool_)
    return windows_of(prepared, Target("run"), None, WindowShape(5, 5), none, input="movie")


def first_windows(windows: Windows, n_frames: int) -> Windows:
    """The windows of the first frames."""
    return windows.where(np.arange(n_frames - windows.recipe.n_frames + 1))


def settled_network(windows: Windows) -> torch.nn.Module:
    """A network with drawn weights, whose batch norms fit the movie: its outputs differ."""
    torch.manual_seed(0)
    network = build_network(NETWORK, WindowShape(5, 5), n_regions=0, n_outputs=1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    frames, batch = MovieFrames(windows.movies), make_batch(windows, [np.arange(60)])
    normalised = frames.normalise(batch.rows, frames.read(batch.rows))
    with torch.no_grad():
        network.inner.cnn.train()(images_of(normalised, torch.from_numpy(batch.images)))
    return network.eval()


def count_passes(network: torch.nn.Module, windows: Windows) -> int:
    """Images that enter the first convolution while the windows are predicted."""
    n_images = []
    hook = network.inner.cnn.features[0].register_forward_hook(
        lambda _, inputs, __: n_images.append(len(inputs[0]))
    )
    for _ in outputs_of_movies(network, windows):
        pass
    hook.remove()
    return sum(n_images)


def seconds(work) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def predict_alone(network: torch.nn.Module, windows: Windows) -> torch.Tensor:
    """Each window's 11 images by themselves, 8 windows a batch, as published."""
    frames = MovieFrames(windows.movies)
    outputs = []
    for first in range(0, windows.n_windows, 8):
        runs = [np.array([k]) for k in range(first, min(first + 8, windows.n_windows))]
        batch = make_batch(windows, runs)
        normalised = frames.normalise(batch.rows, frames.read(batch.rows))
        images = images_of(normalised, torch.from_numpy(batch.images))
        outputs.append(network(images, torch.from_numpy(batch.index)))
    return torch.cat(outputs)


def peak_memory_mb(path: Path, statistics: Path) -> tuple[float, float]:
    """RssAnon once all is imported, and its peak while the whole session is predicted, in MB."""
    done = subprocess.run(
        [sys.executable, __file__, "--predict", str(path), str(statistics)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    imported, peak = done.stdout.split()
    return float(imported), float(peak)


def rss_anon_mb() -> float:
    """Memory of this process that is no file's."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def predict_and_watch(path: Path, statistics: Path) -> None:
    """Predict a whole session; print memory before and at its peak."""
    torch.set_num_threads(1)
    before, peak, over = rss_anon_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], rss_anon_mb())

    thread = threading.Thread(target=watch)
    thread.start()
    windows = windows_of_movie(path, N_FRAMES, statistics)
    network = build_network(NETWORK, WindowShape(5, 5), n_regions=0, n_outputs=1).eval()
    with torch.inference_mode():
        for _ in outputs_of_movies(network, windows):
            pass
    over.set()
    thread.join()
    print(f"{before:.0f} {peak[0]:.0f}")


def measure(folder: Path) -> list[list[object]]:
    """The rows of the table."""
    path, statistics = folder / "movie.tif", folder / "movie.npz"
    write_noise(path, N_FRAMES)
    windows = windows_of_movie(path, N_FRAMES, statistics)
    network = settled_network(windows)
    few, fewer = first_windows(windows, TIMED_FRAMES), first_windows(windows, 60)
    batch = torch.randn(IMAGES_BATCH, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    n_batches = TIMED_FRAMES // IMAGES_BATCH
    with torch.inference_mode():
        n_passes = count_passes(network, few)
        whole = torch.cat([outputs for _, outputs in outputs_of_movies(network, fewer)])
        alone = predict_alone(network, fewer)
        difference, spread_of_logits = float((whole - alone).abs().max()), float(whole.std())
        ratios, speeds, times = [], [], []
        for _ in range(TURNS):
            bare = seconds(lambda: [network.inner.cnn(batch) for _ in range(n_batches)])
            ours = seconds(lambda: list(outputs_of_movies(network, few)))
            speeds.append(TIMED_FRAMES / ours)
            ratios.append(speeds[-1] / (n_batches * IMAGES_BATCH / bare))
            each = seconds(lambda: predict_alone(network, fewer)) / fewer.n_windows
            times.append(each / (ours / few.n_windows))
    imported, peak = peak_memory_mb(path, statistics)
    beyond = statistics.stat().st_size / path.stat().st_size
    ratio, faster = float(np.median(ratios)), float(np.median(times))

    def verdict(holds: bool) -> str:
        return "met" if holds else "missed"

    share = n_passes / TIMED_FRAMES
    spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
    return [
        ["CNN passes a frame", f"{share:.3f}", "<= 1.01", verdict(share <= 1.01)],
        ["frames/s, one thread, median", f"{np.median(speeds):.1f}", "", ""],
        [
            "the same over bare B0 forward",
            f"{ratio:.2f} {spread}",
            ">= 0.85",
            verdict(ratio >= 0.85),
        ],
        ["windows/s over each window alone", f"{faster:.1f}", ">= 8", verdict(faster >= 8)],
        [
            f"largest difference of logits (their SD: {spread_of_logits:.1e})",
            f"{difference:.1e}",
            "1e-4",
            verdict(difference <= 1e-4 and difference < 0.01 * spread_of_logits),
        ],
        ["RssAnon once imported, MB", f"{imported:.0f}", "", ""],
        [
            "peak RssAnon, 18,000 frames, MB",
            f"{peak:.0f}",
            "<= 1000",
            verdict(peak <= 1000),
        ],
        ["disk beyond the raw movie", f"{100 * beyond:.3f} %", "<= 2 %", verdict(beyond <= 0.02)],
    ]


def main() -> None:
    """Measure and write the table."""
    if sys.argv[1:2] == ["--predict"]:
        predict_and_watch(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder))
    write_result("movie_prediction", ["what", "measured", "bar", "verdict"], rows)


if __name__ == "__main__":
    main()
