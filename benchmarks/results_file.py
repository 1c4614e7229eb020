"""What every benchmark shares: a table on the screen and in benchmarks/results, with its origin."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"
REPOSITORY = Path(__file__).parent.parent


def write_result(
    name: str, heads: Sequence[str], rows: Sequence[Sequence[object]], *, gpu: str = "no GPU used"
) -> None:
    """Print a table and keep it as ``benchmarks/results/<name>.md`` with commit and machine."""
    table = "\n".join(
        "| " + " | ".join(str(cell) for cell in row) + " |"
        for row in [heads, ["---"] * len(heads), *rows]
    )
    text = f"# {name}\n\n{_origin(gpu)}\n\n{table}\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def _origin(gpu: str) -> str:
    return "\n".join(
        [
            f"- commit: {_git('rev-parse', '--short=12', 'HEAD')}"
            + (" with uncommitted changes" if _git("status", "--porcelain", "src") else ""),
            f"- command: python {' '.join(_command())}",
            f"- machine: {_processor()}, {os.cpu_count()} cores, {platform.system()}, Python "
            f"{platform.python_version()}, torch {torch.__version__}, {gpu}",
        ]
    )


def _command() -> list[str]:
    """As typed, but for folders of this machine: of a path from the root its name is enough."""
    script = Path(sys.argv[0]).resolve().relative_to(REPOSITORY).as_posix()
    return [script, *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])]


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.strip()


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
