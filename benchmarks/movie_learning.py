"""AUC against CNN passes spent: shared windows, independent ones, and independent ones thinned.

Simulated mice (`simulate --size tiny --movies`, 64 x 64 pixels). The first session of each mouse
trains, the second validates, the AUC is the mean within the third ones: what is compared are ways
of training, and in so few steps a CNN reads little more than brain motion, which running shifts in
each mouse its own way (of a mouse never seen a first trial gave AUC 0.33 to 0.52 in each way of
training, at every point). Stage 2 (EfficientNet-Lite0 + GRU, 5 images
on each side, batch 32, batch-norm statistics frozen) starts, for all three ways, from one CNN that
was trained on single images. Shared and independent training visit equally many windows; the third
way visits as many independent windows as the passes of the shared way allow. Passes are images that
enter the first convolution in training. Results on simulated mice prove the pipeline, not the
biology.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from results_file import write_result

from corticode.data.catalogue import read_catalogue
from corticode.data.folds import Fold, Part, Split, split_windows
from corticode.data.layouts.study2024 import import_study2024
from corticode.data.movies.normalise import PixelPreprocessing
from corticode.data.prepared import prepare_movies
from corticode.data.session import read_session
from corticode.data.targets import Target
from corticode.data.windows import Windows, WindowShape, session_targets, windows_of
from corticode.decode.decoder import Decoder, build_network
from corticode.decode.fit import fit
from corticode.decode.movie_batches import contiguous_blocks
from corticode.decode.predict import outputs_of_movies
from corticode.decode.settings import Network, Training
from corticode.decode.training import TrainingState, make_optimiser, train_network
from corticode.evaluate.metrics import binary_scores
from corticode.simulate.cohort import simulate_cohort

COHORT_SEED, SEEDS = 606, (0, 1, 2)
N_WINDOWS, N_POINTS, N_TEST, N_VALID = 2_400, 4, 900, 200
LITE = {"backbone": "efficientnet-lite0", "flavour": "tensorflow"}
STAGE_1 = Training(
    epochs=1,
    batch_size=128,
    share=0.15,
    optimiser="fastai-adam",
    schedule="one-cycle",
    freeze_batch_norm=True,
)
STAGE_2 = Training(
    epochs=1,
    batch_size=32,
    learning_rate=3e-4,
    optimiser="fastai-adam",
    schedule="one-cycle",
    freeze_batch_norm=True,
    validations=N_POINTS,
)


def cut(folder: Path) -> dict[int, Split]:
    """The fold's windows of one image and of eleven, by images on each side."""
    import_study2024(
        simulate_cohort(folder / "cohort", seed=COHORT_SEED, traces_only=False), folder / "study"
    )
    recordings = read_catalogue(folder / "study" / "sessions.csv")
    sessions = [read_session(recording, signals=["runrest"]) for recording in recordings]
    prepared = prepare_movies(sessions, PixelPreprocessing(scale="fluctuation", mask="brain"))
    target, none = Target("runrest"), np.zeros(0, np.bool_)
    targets = session_targets(prepared, target)
    pairs = list(zip(prepared.animals, prepared.sessions, strict=True))
    by_animal = {a: [s for b, s in pairs if b == a] for a in dict.fromkeys(prepared.animals)}
    train, valid, test = (
        tuple(Part(animal, names[k]) for animal, names in by_animal.items()) for k in range(3)
    )
    fold = Fold("first, second, third session", train, valid, test)
    splits = {}
    for reach in (0, 5):
        window = WindowShape(reach, reach)
        windows = windows_of(prepared, target, targets, window, none, input="movie")
        splits[reach] = split_windows(windows, fold)
    return splits


def thin(windows: Windows, n_windows: int) -> Windows:
    """Some windows: runs of 25 that follow each other, evenly spread over all sessions."""
    runs = [s[k : k + 25] for s in contiguous_blocks(windows) for k in range(0, s.size - 25, 25)]
    chosen = np.linspace(0, len(runs) - 1, n_windows // 25).round().astype(int)
    return windows.where(np.concatenate([runs[k] for k in chosen]))


def auc_within_sessions(network: torch.nn.Module, windows: Windows) -> float:
    """Mean within-session AUC of what the network says now."""
    network.eval()
    score = np.empty(windows.n_windows)
    with torch.inference_mode():
        for where, outputs in outputs_of_movies(network, windows):
            score[where] = torch.sigmoid(outputs[:, 0]).numpy()
    each = [
        binary_scores(windows.target[windows.session == k], score[windows.session == k])["auc"]
        for k in np.unique(windows.session)
    ]
    return float(np.nanmean(each))


def learn(split: Split, start: Decoder, training: Training, seed: int) -> list[tuple[int, float]]:
    """CNN passes spent and AUC so far, at each validation of one training."""
    torch.manual_seed(seed)
    settings = Network("cnn-gru", **LITE)
    network = build_network(settings, split.train.recipe.window, n_regions=0, n_outputs=1)
    cnn = {k: v for k, v in start.network.state_dict().items() if ".cnn." in k}
    network.load_state_dict(cnn, strict=False)
    passes, points = [], []
    network.inner.cnn.features[0].register_forward_hook(
        lambda module, inputs, _: passes.append(len(inputs[0])) if module.training else None
    )
    # Frozen batch norms are in evaluation mode, the first convolution's block is not.
    state = TrainingState(network, make_optimiser(network, training))
    test, valid = thin(split.test, N_TEST), thin(split.valid, N_VALID)

    def report(_: int, __: object) -> None:
        points.append((sum(passes), auc_within_sessions(network, test)))

    train_network(state, split.train, valid, training, seed, None, report)
    return points


def main() -> None:
    """Train each way from each seed and write the table."""
    torch.set_num_threads(1)
    seeds = [int(text) for text in sys.argv[1:]] or list(SEEDS)
    with tempfile.TemporaryDirectory() as name:
        splits = cut(Path(name))
        n_train = splits[5].train.n_windows
        shared = replace(STAGE_2, share=N_WINDOWS / n_train)
        independent = replace(shared, windows="independent")
        found: dict[str, list[list[tuple[int, float]]]] = {}
        for seed in seeds:
            start = fit(
                splits[0].train,
                thin(splits[0].valid, 600),
                Network("cnn", **LITE),
                STAGE_1,
                seed=seed,
            )
            ways = {"shared": learn(splits[5], start, shared, seed)}
            thinned = replace(independent, share=ways["shared"][-1][0] / 11 / n_train)
            ways["independent"] = learn(splits[5], start, independent, seed)
            ways["independent, thinned"] = learn(splits[5], start, thinned, seed)
            for way, points in ways.items():
                found.setdefault(way, []).append(points)
                print(seed, way, [(n, round(auc, 3)) for n, auc in points], flush=True)
    rows: list[list[object]] = []
    for way, curves in found.items():
        for k in range(N_POINTS):
            n_passes = np.mean([curve[k][0] for curve in curves])
            aucs = [curve[k][1] for curve in curves]
            by_seed = " ".join(f"{auc:.3f}" for auc in aucs)
            rows.append([way, f"{n_passes:,.0f}", f"{np.mean(aucs):.3f}", by_seed])
    last = {way: np.mean([curve[-1][1] for curve in curves]) for way, curves in found.items()}
    difference = last["shared"] - last["independent"]
    verdict = "met" if abs(difference) <= 0.01 or difference > 0 else "missed"
    rows.append(["shared - independent, equal windows", "", f"{difference:+.3f}", verdict])
    rows.append(
        [
            "shared - independent, equal passes",
            "",
            f"{last['shared'] - last['independent, thinned']:+.3f}",
            "",
        ]
    )
    write_result(
        "movie_learning_simulated",
        ["training windows (simulated mice)", "CNN passes", "mean AUC", "by seed, or verdict"],
        rows,
    )


if __name__ == "__main__":
    main()
