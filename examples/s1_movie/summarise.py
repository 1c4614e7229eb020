"""Write results.md from a finished run: python examples/s1_movie/summarise.py RUN."""

import sys
from pathlib import Path

from corticode import Run

COLUMNS = {"pearson_r": "Pearson r", "r2": "R2", "mae": "mean absolute error"}


def main() -> None:
    """Write the page."""
    run = Run(Path(sys.argv[1]))
    scores, excluded = run.read_table("scores"), run.read_table("excluded")
    rows = [["condition", *(f"{name}, by block" for name in COLUMNS.values())], ["---"] * 4]
    for condition, of_condition in scores.groupby("condition", sort=False):
        cells = []
        for column in COLUMNS:
            values = of_condition[column]
            by_block = " ".join("-" if value != value else f"{value:.2f}" for value in values)
            cells.append(f"{values.mean():.2f} ({by_block})")
        rows.append([str(condition), *cells])
    parts = [
        "# Results as measured",
        "Written by `summarise.py` from the run of `study.toml`. One real movie of 500 frames, "
        "five blocks of time, each tested by a decoder that was trained on three others. R2 below "
        "0: worse than saying the block's own mean speed, which no decoder is told. Without r (-): "
        "the decoder says the same speed for every frame.",
        "\n".join("| " + " | ".join(row) + " |" for row in rows),
        "Left out or odd:",
        "\n".join(f"- {row.reason}" for row in excluded.itertuples()),
    ]
    page = "\n\n".join(parts) + "\n"
    Path(__file__).with_name("results.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
