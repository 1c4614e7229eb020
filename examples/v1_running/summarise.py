"""Write results.md from a finished run: python examples/v1_running/summarise.py RUN."""

import sys
from pathlib import Path

import pandas as pd

from corticode import Run


def main() -> None:
    """Write the page."""
    run = Run(Path(sys.argv[1]))
    scores = run.read_table("scores")
    animals = run.read_table("animal_scores")
    excluded = run.read_table("excluded")
    parts = [
        "# Results as measured\n",
        "Written by `summarise.py` from the run of `study.toml`. Real recordings; decoding within",
        "each mouse, five blocks of time, each block tested by a decoder that was trained on three",
        "others.\n",
        "## Running (speed_normalized > 0.1): mean within-session AUC by mouse\n",
        "Blank: no test block of this mouse holds 3 bouts and 5 s of either class.\n",
        _by_mouse(animals, "running", "value"),
        "## Running: AUC of each block, pooled over its windows, mean over blocks\n",
        _by_mouse(scores.rename(columns={"test_animal": "animal"}), "running", "auc"),
        "## Speed: Pearson r, mean over blocks\n",
        _by_mouse(scores.rename(columns={"test_animal": "animal"}), "speed", "pearson_r"),
        "## Speed: R2, mean over blocks\n",
        "Below 0: worse than saying the block's own mean speed, which no decoder is told.\n",
        _by_mouse(animals, "speed", "value"),
        f"## Left out or odd\n\n{len(excluded)} rows of excluded.csv:\n",
        "\n".join(f"- {row.item}: {row.reason}" for row in excluded.itertuples()),
    ]
    page = "\n".join(parts) + "\n"
    Path(__file__).with_name("results.md").write_text(page, encoding="utf-8")
    print(page)


def _by_mouse(table: pd.DataFrame, start: str, column: str) -> str:
    chosen = table[table["condition"].str.startswith(start)]
    means = chosen.pivot_table(
        index="animal", columns="condition", values=column, sort=False, dropna=False
    )
    means.loc["mean"] = means.mean()
    names = [name.removeprefix(f"{start}, ") for name in means.columns]
    rows = [["mouse", *names], ["---"] * (len(names) + 1)]
    for mouse, row in means.iterrows():
        rows.append([str(mouse), *("" if pd.isna(v) else f"{v:.3f}" for v in row)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


if __name__ == "__main__":
    main()
