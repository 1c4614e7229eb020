"""Which cortex a decoder reads, and whether its map says more than those of random weights.

Deep SHAP of a gru on the simulated mouse that it never saw, beside decoders with random weights;
where the signal was planted is known.

    python examples/which_regions.py FOLDER
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd

import corticode as cc
from corticode.explain.contributions import draw_background
from corticode.explain.map_checks import check_share, random_weight_maps
from corticode.report.canvas import save_figure
from corticode.report.map_figures import draw_region_bars
from corticode.simulate.cohort import simulate_sessions
from corticode.simulate.cortex import LIMB_REGIONS

FEW_WINDOWS = 100


def shares(found: cc.ImportanceMap, name: str) -> pd.DataFrame:
    """A map's share of each region, as the figure takes it."""
    return pd.DataFrame({"animal": name, "region": found.names, "share": found.by_region()})


def main(folder: Path, n_frames: int = 1500, epochs: int = 8, n_random: int = 20) -> None:
    """Fit, explain, check, draw."""
    sessions = simulate_sessions(n_frames, dials={"arousal": 0.0})
    windows = cc.cut_windows(sessions, cc.Target("runrest"))
    split = cc.split_windows(windows, cc.leave_animals_out(windows.animal_names)[0])
    decoder = cc.fit(split.train, split.valid, "gru", cc.Training(epochs=epochs))
    explained = split.test.where(slice(None, None, max(1, split.test.n_windows // FEW_WINDOWS)))
    background = draw_background(split.train, 30)

    found = cc.deep_shap(decoder, explained, background)
    others = list(random_weight_maps(decoder, explained, background, range(n_random)))
    check = check_share([found.top_share()], [one.top_share() for one in others], "random weights")
    control = pd.concat([shares(one, f"random {k}") for k, one in enumerate(others)])
    planted = {name: "planted" if int(name) in LIMB_REGIONS else "other" for name in found.names}
    figure = draw_region_bars(
        shares(found, split.test.animal_names[0]), control, planted, "random weights"
    )
    save_figure(figure, folder / "which_regions.svg")

    first = list(found.ranking()["region"][: len(LIMB_REGIONS)])
    n_found = sum(planted[name] == "planted" for name in first)
    print(
        f"{n_found} of the first {len(first)} regions are planted ones ({', '.join(first)}); "
        f"additivity error {found.details['additivity_error']:.0e}; {check.words}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()))
