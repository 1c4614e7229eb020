"""A gallery of figures from the 2024 study's published tables and SHAP array (real data).

    python examples/gallery.py FOLDER

writes each as PNG, SVG and PDF, and FOLDER/gallery.html with all of them. What the study did not
release (probabilities, losses, images) is not here: a run's own report draws it.

Data: Ajioka et al. (2024), doi:10.1371/journal.pcbi.1011074, CC BY 4.0.
"""

import sys
from importlib.resources import files
from itertools import combinations, permutations
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from corticode.evaluate.comparisons import compare_pair, with_families
from corticode.evaluate.published import published_attributions
from corticode.explain.importance_map import ImportanceMap, MapPart
from corticode.report.canvas import Figure, save_figure
from corticode.report.map_figures import draw_group_layout, draw_heat_map, draw_region_bars
from corticode.report.page import data_address
from corticode.report.score_figures import draw_points_by_split, draw_sweep, verdicts_of

PUBLISHED = files("corticode.published")
STYLE = files("corticode.report") / "templates" / "page.css"
HERE = Path(__file__).parent / "published"
MICE = ("1", "2", "3", "4", "5")
PUBLISHED_RATE_HZ = 30.0
LENGTHS = (5, 10, 15, 20, 25, 30)


def read_splits() -> pd.DataFrame:
    """Pooled AUC of each split: condition, test_animal, value."""
    with (PUBLISHED / "published_by_split.csv").open("r") as file:
        table = pd.read_csv(file, dtype={"test_animal": str, "valid_animal": str})
    auc = table[table["metric"] == "auc"]
    return auc.assign(test_animal="mouse " + auc["test_animal"])


def draw_conditions(splits: pd.DataFrame, family: str, conditions: list[str]) -> Figure:
    """Points by split of some conditions, the first compared with each of the others."""
    own = splits[splits["condition"].isin(conditions)]
    # Nothing finer than splits is known: an animal's value is their mean.
    animals = own.groupby(["condition", "test_animal"], sort=False)["value"].mean().reset_index()
    animals = animals.rename(columns={"test_animal": "animal"}).assign(metric="auc")
    scores = own.rename(columns={"value": "auc"})
    # As published, Holm counts all pairs; shown are those with the first condition.
    pairs = [
        compare_pair(animals, family, pair, split_scores=scores)
        for pair in combinations(conditions, 2)
    ]
    found = with_families(pd.concat(pairs, ignore_index=True))
    found = found[found["condition_a"] == conditions[0]]
    order = {name: k for k, name in enumerate(conditions)}
    ordered = own.sort_values("condition", key=lambda names: names.map(order), kind="stable")
    return draw_points_by_split(ordered, verdicts=verdicts_of(found, family))


def draw_lengths(splits: pd.DataFrame) -> Figure:
    """AUC of each animal along the window's length."""
    parts = [
        splits[splits["condition"] == f"gru, length {length}"].assign(setting=length)
        for length in LENGTHS
    ]
    table = pd.concat(parts).rename(columns={"test_animal": "animal"})
    return draw_sweep(table, "frames on either side of the decoded one")


def read_regions() -> pd.DataFrame:
    """Centres and groups of the 50 regions."""
    with (PUBLISHED / "regions_50.csv").open("r") as file:
        table = pd.read_csv(file)
    names = {"region": "name", "row_of_128": "row", "column_of_128": "column"}
    return table.rename(columns=names).fillna({"group": "none"})


def draw_groups(splits: pd.DataFrame, regions: pd.DataFrame) -> Figure:
    """The groups of regions, and what a decoder of each alone reads."""
    mean = splits.groupby("condition")["value"].mean()
    values = {
        group: float(mean[f"gru, {group} only"])
        for group in dict.fromkeys(regions["group"])
        if f"gru, {group} only" in mean
    }
    return draw_group_layout(regions, values, "AUC, mean of 20 splits")


def read_map() -> ImportanceMap:
    """The map that the study released: mean |SHAP value|, (split, frame, region).

    Splits are the ordered pairs (validation mouse, test mouse) of five; parts by animal are means
    over the four splits that it tests.
    """
    values = published_attributions()
    splits = list(permutations(MICE, 2))
    tested = np.array([test for _, test in splits])
    n_frames, n_regions = values.shape[1:]
    return ImportanceMap(
        kind="deep-shap",
        unit="probability",
        axes=("frame", "region"),
        absolute=values.mean(axis=0),
        names=tuple(str(k + 1) for k in range(n_regions)),
        frames=tuple(range(-(n_frames // 2), n_frames - n_frames // 2)),
        frame_rate_hz=PUBLISHED_RATE_HZ,
        by_animal=tuple(
            MapPart(mouse, 0, None, values[tested == mouse].mean(axis=0)) for mouse in MICE
        ),
        by_decoder=tuple(
            MapPart(f"test-{test}_valid-{valid}", 0, None, part)
            for (valid, test), part in zip(splits, values, strict=True)
        ),
        details={"doi": "10.1371/journal.pcbi.1011074", "background": "10,000 test windows"},
    )


def render_gallery(figures: dict[str, Figure]) -> str:
    """A page of figures, each below its title, that needs no other file."""
    shown = [{"title": title, "source": data_address(figure)} for title, figure in figures.items()]
    page = jinja2.Template((HERE / "gallery.html").read_text("utf-8"), autoescape=True)
    return page.render(figures=shown, style=STYLE.read_text("utf-8"))


def main(folder: Path) -> None:
    """Draw and write everything."""
    folder.mkdir(parents=True, exist_ok=True)
    splits, regions = read_splits(), read_regions()
    found = read_map()
    shares = pd.DataFrame(
        [
            {"animal": f"mouse {part.name}", "region": region, "share": share}
            for part in found.by_animal
            for region, share in zip(
                found.names, part.absolute.sum(axis=0) / part.absolute.sum(), strict=True
            )
        ]
    )
    groups = dict(zip(regions["name"].astype(str), regions["group"], strict=True))
    kinds = ["gru", "lstm", "rnn", "bi-gru", "bi-lstm", "bi-rnn"]
    subsets = ["gru", "gru, FLa&HLa only", "gru, all but FLa&HLa"]
    figures = {
        "Fig. 4E: detrending, and the control": draw_conditions(
            splits, "4E", ["gru", "gru, raw dF/F", "gru, permuted labels"]
        ),
        "Fig. 4F: six recurrent decoders": draw_conditions(splits, "4F", kinds),
        "Fig. 2E: decoders of images": draw_conditions(splits, "2E", ["cnn-gru, length 5", "cnn"]),
        "Fig. 5B: length of the window": draw_lengths(splits),
        "Fig. 6A: regions over frames": draw_heat_map(found),
        "Fig. 6B: share of each region": draw_region_bars(shares, groups=groups),
        "Fig. 6D: limb regions alone, and all others": draw_conditions(splits, "6D", subsets),
        "Fig. 6F: groups of regions": draw_groups(splits, regions),
    }
    pages = {}
    for k, (title, figure) in enumerate(figures.items()):
        for suffix in ("png", "svg", "pdf"):
            save_figure(figure, folder / f"{k + 1}.{suffix}")
        pages[title] = figure
    (folder / "gallery.html").write_text(render_gallery(pages), "utf-8")
    print(folder / "gallery.html")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery"))
