"""The command line: verbs of a few lines each; what they need is imported inside them."""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corticode import __version__
from corticode.errors import NO_MAP, NO_SCORE, CorticodeError, Finding, StudyError, legible

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import pandas as pd

    from corticode.run.execute import Progress, RunSummary
    from corticode.run.tasks import Plan
    from corticode.study.study import Study

SHOWN_FINDINGS = 20

app = typer.Typer(
    help="Decode behaviour from cortex-wide calcium imaging, in animals the decoder never saw.",
    epilog="Begin with: corticode demo. A study of your own: check, plan, run, report.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)
import_app = typer.Typer(
    help="Make a catalogue of recordings that others laid out.",
    rich_markup_mode=None,
    no_args_is_help=True,
)
app.add_typer(import_app, name="import", short_help="Make a catalogue of recordings.")

StudyName = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study file, or paper-text, paper-code or recommended."),
]
Catalogue = Annotated[
    Path | None,
    typer.Option(
        "--catalogue", metavar="FILE", help="A sessions.csv, for a study that ships with corticode."
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, metavar="N", help="Worker processes of one thread each.")
]


def main() -> None:
    """Run the command line; an error is one message and exit code 2."""
    _end_in_order()
    try:
        app(prog_name="corticode")
    except CorticodeError as error:
        _say(f"error: {error}", err=True)
    except BrokenPipeError:
        # Whoever read what is printed has gone: nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError as error:
        _say(
            f"error: this machine's memory does not hold what was asked for ({error}); nothing is "
            "wrong with the study: close other programs, or use a machine with more",
            err=True,
        )
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _say(f"error: {where}{error.strerror or error}", err=True)
    sys.exit(2)


def _say(text: object = "", *, err: bool = False) -> None:
    """Print a line; what names hold that a terminal would obey is shown instead."""
    typer.echo(legible(str(text)), err=err)


def _end_in_order() -> None:
    """Let what ends a process from outside be an exception, so that nothing half-written stays."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # A signal that is ignored (nohup) stays so; outside the main thread none can be set.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            with suppress(ValueError):
                signal.signal(number, _end)


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.")
    ] = False,
) -> None:
    if show_version:
        _say(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        _say(context.get_help())


@app.command(short_help="Write simulated mice with a known truth.")
def simulate(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A new folder.")],
    size: Annotated[
        str,
        typer.Option(
            help="tiny: 5 mice x 3 sessions x 3,000 frames; small: x 4 x 6,000, movies of 64 x 64 "
            "pixels; study: the published 64 sessions, 38 GB; grid: x 3 x 1,000."
        ),
    ] = "tiny",
    seed: Annotated[
        int, typer.Option(min=0, metavar="K", help="The same seed gives the same arrays.")
    ] = 0,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "--dial",
            metavar="NAME=VALUE",
            help="A simulation parameter, 0: off, 1: typical; may be given again. --dial: the "
            "same, as it was called before.",
        ),
    ] = None,
    movies: Annotated[
        bool | None,
        typer.Option(
            "--movies/--traces-only", help="With movies or without; default: small and study with."
        ),
    ] = None,
    reference: Annotated[
        bool, typer.Option("--reference", help="Interleave a 405 nm channel in the movies.")
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="STUDY",
            help="Your own sessions and behaviour, with traces that hold no signal.",
        ),
    ] = None,
) -> None:
    """Write simulated mice with a known truth, as the 2024 study's files."""
    if like is not None:
        if movies is not None or reference or parameters or size != "tiny":
            raise StudyError(
                "--like takes everything but the seed from the study; leave --size, "
                "--set, --movies, --traces-only and --reference out"
            )
        _simulate_like(like, destination, seed)
        return
    from corticode.simulate.cohort import simulate_cohort

    folder = simulate_cohort(
        destination,
        size=size,
        seed=seed,
        dials=_dials(parameters or []),
        traces_only=None if movies is None else not movies,
        reference_channel=reference,
    )
    _say(f"simulated cohort written to {folder}; what was planted is in truth.json")


def _simulate_like(study_path: Path, destination: Path, seed: int) -> None:
    """A study of the same sessions and behaviour whose traces hold no signal."""
    import tomllib

    import tomli_w

    from corticode.data.files import write_bytes, write_text
    from corticode.run.study_files import read_content
    from corticode.simulate.like import adapt_study, simulate_like
    from corticode.study.study import read_study

    study = read_study(study_path)
    content = read_content(study, on_preprocessed=_say_preprocessed).main
    _show_findings([finding for session in content.sessions for finding in session.findings])
    simulate_like(content.sessions, destination, seed)
    regions = None if study.regions_path is None else study.regions_path.name
    if study.regions_path is not None:
        write_bytes(destination / study.regions_path.name, study.regions_path.read_bytes())
    adapted = adapt_study(tomllib.loads(study_path.read_text("utf-8")), regions)
    write_text(destination / "study.toml", tomli_w.dumps(adapted))
    _say(
        f"simulated sessions without signal written to {destination}; "
        f"corticode run {destination / 'study.toml'} must find chance"
    )


@import_app.command("study2024", short_help="Data as laid out by Ajioka et al.")
def import_study(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The study's folder.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Where sessions.csv goes.")],
) -> None:
    """Make a catalogue of data laid out as by Ajioka et al. (2024)."""
    from corticode.data.layouts.study2024 import import_study2024

    summary = import_study2024(source, destination)
    for note in summary.notes:
        _say(f"note: {note}")
    _say(f"{summary.catalogue}: {summary.n_sessions} sessions of {summary.n_animals} animals")


@app.command(short_help="Regions of an atlas on an image, by landmarks.")
def regions(
    image: Annotated[
        str,
        typer.Argument(metavar="IMAGE", help="A mean image or a movie: file, or file::array."),
    ],
    landmarks: Annotated[
        str,
        typer.Option(
            metavar="POINTS",
            help="'front-left=81,42 front=120,40 front-right=160,43 back=121,210', x (the column) "
            "before y (the row), pixels from 0; or a file: wfield's .json, a .csv with columns "
            "landmark,x,y, napari's .csv with axis-0 (the row) before axis-1 (the column), Fiji's "
            ".points.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder.")],
    atlas: Annotated[str, typer.Option(metavar="NAME", help="Of the map.")] = "allen-44",
    transform: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="similarity, or affine (4 landmarks or more); default: that of wfield's file, "
            "else similarity.",
        ),
    ] = None,
    pixel_mm: Annotated[
        float | None, typer.Option(metavar="MM", help="Size of a pixel of IMAGE, for a check.")
    ] = None,
    landmark_names: Annotated[
        str, typer.Option(metavar="NAMES", help="In the file's order, where it holds none.")
    ] = "",
    session: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=IMAGE",
            help="A further session of the animal, laid over IMAGE by its vessels: its regions go "
            "into FOLDER/NAME; repeatable.",
        ),
    ] = None,
) -> None:
    """Lay an atlas on an image by landmarks: label image, region table, transform, overlay."""
    from corticode.data.atlas.files import read_mean_image
    from corticode.data.readers.arrays import parse_location
    from corticode.report.atlas_overlay import write_atlas_regions

    others = {}
    for text in session or ():
        name, _, where = (part.strip() for part in text.partition("="))
        if not name or not where or Path(name).name != name or name in others:
            raise StudyError(
                f"--session {text}: give NAME=IMAGE, each name once, a name without / in it"
            )
        others[name] = read_mean_image(parse_location(where, Path()))

    lines, findings = write_atlas_regions(
        read_mean_image(parse_location(image, Path())),
        out,
        landmarks=landmarks,
        names=landmark_names.replace(",", " ").split(),
        atlas=atlas,
        kind=transform,
        mm_per_pixel=pixel_mm,
        others=others,
    )
    for line in lines:
        _say(line)
    _show_findings(findings)
    _say(f"{out / 'labels.npy'} and regions.csv beside it: corticode extract --labels takes both")
    _say(f"look at {out / 'overlay.png'} before anything else")


@app.command(short_help="Region traces from movies.")
def extract(  # noqa: PLR0913  what a baseline is, and what is done about odd frames
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE", help="A sessions.csv.")],
    destination: Annotated[
        Path, typer.Argument(metavar="DEST", help="Where the new sessions.csv and traces go.")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="An image in which regions are numbered (file::array); "
            "{animal} and {session} in it stand for those of each recording.",
        ),
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A region table with centres (row, column); with --labels: their names, number k "
            "by the k-th row (default: the regions.csv that corticode regions wrote beside it).",
        ),
    ] = None,
    radius: Annotated[float, typer.Option(metavar="PIXELS", help="Of the discs there.")] = 4.0,
    baseline: Annotated[
        str, typer.Option(help="F0 of dF/F: mean, percentile, running; none: means as they are.")
    ] = "mean",
    percentile: Annotated[float, typer.Option(metavar="P", help="Which, 0 to 100.")] = 10.0,
    baseline_frames: Annotated[
        int, typer.Option(min=1, metavar="N", help="Length of a running baseline.")
    ] = 1800,
    resynchronise: Annotated[
        bool, typer.Option(help="Put wavelengths in order again where a frame was lost.")
    ] = False,
    bad_frames: Annotated[
        str,
        typer.Option(help="Dark, saturated, frozen, corrupt frames: exclude (as NaN) or report."),
    ] = "exclude",
) -> None:
    """Take region traces (dF/F, percent) from movies: a catalogue for both kinds of decoder."""
    from corticode.data.catalogue import read_catalogue
    from corticode.data.extraction import extract_catalogue
    from corticode.data.readers.arrays import parse_location
    from corticode.data.regions import read_regions

    path, findings = extract_catalogue(
        read_catalogue(catalogue),
        destination,
        labels=None if labels is None else parse_location(labels, Path()),
        table=None if regions is None else read_regions(regions),
        radius_pixels=radius,
        baseline=baseline,
        percentile=percentile,
        baseline_frames=baseline_frames,
        resynchronise=resynchronise,
        bad_frames=bad_frames,
        on_session=lambda name: _say(f"{name} done", err=True),
    )
    _show_findings(findings)
    _say(f"{path} names the traces beside the movies")


@app.command(short_help="From raw movies to dF/F without motion and blood.")
def preprocess(  # noqa: PLR0913  where regions lie, and what comes out
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE", help="A sessions.csv.")],
    destination: Annotated[
        Path,
        typer.Argument(
            metavar="DEST", help="A new folder; a second call goes on where it stopped."
        ),
    ],
    steps: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A TOML file with a table [preprocess]."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="An image in which regions are numbered: traces too."),
    ] = None,
    regions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A region table with centres (row, column): traces too."),
    ] = None,
    radius: Annotated[float, typer.Option(metavar="PIXELS", help="Of the discs there.")] = 4.0,
    movies: Annotated[
        str,
        typer.Option(
            help="How movies are kept: float16 or float32 (NPY), tiff (BigTIFF, 32 bits); none: "
            "traces alone."
        ),
    ] = "float16",
    workers: Workers = 1,
    resynchronise: Annotated[
        bool, typer.Option(help="Put wavelengths in order again where a frame was lost.")
    ] = False,
    bad_frames: Annotated[
        str,
        typer.Option(help="Dark, saturated, frozen, corrupt frames: exclude (as NaN) or report."),
    ] = "exclude",
) -> None:
    """Take dark level, brain motion, F0 and blood out of movies, in the order of the steps file."""
    from corticode.report.quality import write_quality
    from corticode.run.preprocess import preprocess as preprocess_movies

    summary = preprocess_movies(
        catalogue,
        destination,
        steps=steps,
        labels=labels,
        regions=regions,
        radius_pixels=radius,
        movies=movies,
        resynchronise=resynchronise,
        bad_frames=bad_frames,
        n_workers=workers,
        on_session=lambda name: _say(f"{name} done", err=True),
    )
    _say(f"steps: {summary.steps}")
    _show_findings(list(summary.findings))
    if summary.n_kept:
        kept = "1 session was" if summary.n_kept == 1 else f"{summary.n_kept} sessions were"
        _say(f"{kept} kept from an earlier call")
    page, headline = write_quality(destination)
    _say(f"{summary.catalogue} names what came out; corticode check reads it like any catalogue")
    _say(f"{page} shows how good it is: look at it before anything is decoded")
    _say(headline)


@app.command(short_help="Find faults and leaks, without training.")
def check(
    study: StudyName,
    catalogue: Catalogue = None,
) -> None:
    """Find every fault of a study's data and every risk of leakage, without training."""
    _check(study, catalogue)


def _check(study: str, catalogue: Path | None = None, *, with_sessions: bool = True) -> None:
    """What `check` does; without the table of sessions where there is enough to read."""
    import shutil

    from corticode.run.check import check_study, session_table
    from corticode.study.shipped import open_study

    report = check_study(open_study(study, catalogue), on_preprocessed=_say_preprocessed)
    _write_quality(report.preprocessed)
    _show_findings(report.findings)
    if with_sessions:
        for line in session_table(report.sessions, shutil.get_terminal_size().columns):
            _say(line)
    for fact in report.facts:
        _say(fact)
    if report.faults:
        raise StudyError("\n".join(report.faults))
    n_leaks = sum(finding.what == "leak" for finding in report.findings)
    if n_leaks:
        risks = "1 risk" if n_leaks == 1 else f"{n_leaks} risks"
        _say(f"{risks} of a leak or mix-up, see the warnings above; no other fault found")
    else:
        _say("no fault found" + (", see the warnings above" if report.findings else ""))


@app.command(short_help="What a study costs and can show.")
def plan(
    study: StudyName,
    catalogue: Catalogue = None,
    workers: Workers = 1,
    seeds: Annotated[int, typer.Option(min=1, metavar="K", help="Seeds 0 to K - 1.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    sd: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="SD", help="Of animals' differences; default: published."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a study will cost here and what it can show; nothing is written."""
    import json
    from dataclasses import asdict

    import torch

    from corticode.run.plan import cost_text, plan_study
    from corticode.study.shipped import open_study

    # One thread, as in a run's workers.
    torch.set_num_threads(1)
    cost = plan_study(
        open_study(study, catalogue),
        n_seeds=seeds,
        n_workers=workers,
        device=_device(device),
        sd=sd,
    )
    _say(json.dumps(asdict(cost), indent=1) if as_json else cost_text(cost))


@app.command(short_help="Fit, predict and score a study.")
def run(  # noqa: PLR0913  what of the study, where, and how many at a time
    study: StudyName,
    out: Annotated[
        Path,
        typer.Option(metavar="RUN", help="The run folder; a second call goes on where it stopped."),
    ],
    catalogue: Catalogue = None,
    workers: Workers = 1,
    seeds: Annotated[int, typer.Option(min=1, metavar="K", help="Seeds 0 to K - 1.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Of a running Dask cluster (tcp://HOST:PORT)."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Do the K-th of N parts; others do theirs in the same folder (a Slurm array). "
            "The last to end writes the tables.",
        ),
    ] = None,
    traces_only: Annotated[
        bool | None,
        typer.Option(
            "--traces-only/--movies-only",
            help="Only the conditions that open no movie, or those that decode movies.",
        ),
    ] = None,
) -> None:
    """Fit every condition in every fold, predict what was left out, and score it."""
    from corticode.study.shipped import open_study
    from corticode.study.study import of_input

    opened = open_study(study, catalogue)
    if traces_only is not None:
        opened = of_input(opened, "traces" if traces_only else "movies")
    if scheduler is None:
        _run_study(opened, out, workers=workers, seeds=seeds, device=device, part=_part(part))
        return
    if part is not None:
        raise StudyError("--part and --scheduler are two ways to share the work; give one of them")
    if workers != 1:
        raise StudyError(
            "--workers counts processes of this machine; with --scheduler leave it out, the "
            "cluster's workers are used"
        )
    try:
        from corticode.run.cluster import cluster_executor
    except ModuleNotFoundError as error:
        raise StudyError(
            f"--scheduler needs {error.name}, which is not installed: "
            "pip install 'corticode[cluster]'"
        ) from error
    # Workers start from other folders, and may have a GPU where this machine has none.
    at = "cuda" if device == "cuda" else "cpu"
    with cluster_executor(scheduler, at) as executor:
        _run_study(opened, out.resolve(), seeds=seeds, device=at, executor=executor)


@app.command(short_help="Make a run's maps again.")
def explain(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    workers: Workers = 1,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Make the maps of a run again, of the decoders that are there; nothing is trained."""
    from corticode.report.write import write_texts
    from corticode.run.execute import make_maps
    from corticode.run.folder import Run, read_seeds
    from corticode.study.study import read_study

    seeds = read_seeds(Run(folder))
    study = read_study(Run(folder).study_path)
    with _progress(folder) as (_, on_progress):
        findings = make_maps(
            study,
            folder,
            n_workers=workers,
            n_seeds=len(seeds),
            device=_device(device),
            on_progress=on_progress,
        )
    write_texts(folder)
    _show_findings(findings)
    _say(f"maps: {folder}/maps; tables: {folder}/map_regions.csv, occlusion.csv")


@app.command(short_help="Predict other recordings.")
def predict(
    decoder_folder: Annotated[
        Path, typer.Argument(metavar="DECODER", help="RUN/fits/CONDITION/FOLD/seed-N.")
    ],
    catalogue: Annotated[Path, typer.Argument(metavar="CATALOGUE", help="A sessions.csv.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A .csv or .npz file.")],
    session: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only this session: its name, or ANIMAL/SESSION."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Predict behaviour in other recordings with a fitted decoder."""
    from itertools import chain

    import torch

    from corticode.data.catalogue import files_of, read_catalogue
    from corticode.data.files import check_output
    from corticode.decode.decoder import load_decoder
    from corticode.decode.predictions import holds_predictions
    from corticode.run.fits import predict_recordings
    from corticode.run.folder import write_table

    if out.suffix not in (".csv", ".npz"):
        raise StudyError(f"--out {out} ends in neither .csv nor .npz")
    recordings = read_catalogue(catalogue)
    read = [catalogue, *decoder_folder.glob("*"), *chain.from_iterable(map(files_of, recordings))]
    check_output(out, read)
    if out.exists() and not holds_predictions(out):
        raise StudyError(
            f"--out {out} exists and holds no predictions; nothing was written: give the name of a "
            "new file"
        )
    if session is not None:
        names = list(dict.fromkeys(recording.session for recording in recordings))
        example = recordings[0].name
        recordings = [one for one in recordings if session in (one.session, one.name)]
        if not recordings:
            raise StudyError(
                f"{catalogue} has no session {session!r}; its sessions are {', '.join(names)}, "
                f"each also with its animal before it, as in {example}"
            )
    # One thread, as in a run's workers: the same scores to the last digit.
    torch.set_num_threads(1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        predictions = predict_recordings(
            load_decoder(decoder_folder), recordings, device=_device(device)
        )
    for warning in told:
        _say(f"warning: {warning.message}", err=True)
    if out.suffix == ".csv":
        write_table(out, predictions.to_frame())
    else:
        predictions.save(out)
    _say(f"{predictions.frame.size:,} predictions written to {out}")


@app.command(short_help="One page of a run, or of two, to send.")
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, finished or not.")],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN_B]", help="A second one: a page that compares both."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The page (.html), where RUN cannot be written; default RUN/report.html, "
            "or of two runs RUN/against-RUN_B.html.",
        ),
    ] = None,
    figures: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help="Write each figure too: png, svg or pdf; repeatable."),
    ] = None,
    movie: Annotated[
        str | None,
        typer.Option(metavar="ANIMAL/SESSION", help="Whose movie the player shows."),
    ] = None,
    minute: Annotated[
        int | None, typer.Option(metavar="K", min=0, help="Which minute of it, from 0.")
    ] = None,
    paper: Annotated[
        bool,
        typer.Option(
            "--paper",
            help="The figures of the 2024 study instead: RUN/paper.html and RUN/figures/paper; "
            "panels that RUN cannot fill say why.",
        ),
    ] = False,
) -> None:
    """Write RUN/report.html and methods.md, or one page of two runs, from their folders alone."""
    from corticode.report.write import EDITED, write_comparison, write_report

    if paper:
        if other is not None or movie is not None or minute is not None:
            raise StudyError(
                "--paper draws one run, without a movie; leave RUN_B, --movie and --minute out"
            )
        _write_paper(folder, figures or (), out)
        return
    if other is None:
        _say(write_report(folder, figures or (), movie=movie, minute=minute, out=out))
        edited = folder / EDITED
        if out is None and edited.exists():
            _say(f"methods.md was edited and is kept; the new text is {edited}", err=True)
        return
    if figures:
        raise StudyError("--figures is for the page of one run; that of two draws its own")
    if movie is not None or minute is not None:
        raise StudyError("--movie and --minute are for the page of one run")
    _say(write_comparison(folder, other, out))


def _write_paper(folder: Path, formats: Sequence[str], out: Path | None) -> None:
    """Write the published figures, and say which there are not."""
    from corticode.report.write import write_paper

    page, panels = write_paper(folder, formats, out)
    absent = [one.panel.name for one in panels if one.drawn is None]
    if absent:
        names = "; ".join(absent)
        _say(f"not in this run, the page says why: {names}", err=True)
    _say(f"{page} ({len(panels) - len(absent)} of {len(panels)} panels)")


@app.command(short_help="A run as files for MATLAB or R.")
def export(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, finished or not.")],
    form: Annotated[
        str,
        typer.Option("--format", metavar="csv|mat", help="Tidy tables, or MAT files (version 5)."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A new folder; default RUN-csv or RUN-mat."),
    ] = None,
) -> None:
    """Write a run's predictions, scores, tables and maps as files for MATLAB or R."""
    from corticode.report.export import export_run

    written = export_run(folder, form, to)
    for one in written.left_out:
        _say(f"warning: {one}", err=True)
    _say(f"{len(written.rows)} files in {written.folder}; index.csv says what each holds")


@app.command(short_help="All of it once, on simulated mice.")
def demo(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything goes.")] = Path(
        "demo"
    ),
    workers: Workers = 2,
    size: Annotated[
        str, typer.Option(help="How much of each mouse, as of simulate: grid is shorter.")
    ] = "tiny",
) -> None:
    """Simulate five mice, import, check, run and say what was found."""
    from importlib.resources import files

    from corticode.data.files import holds_files, write_text
    from corticode.study.study import read_study

    cohort, study_path = out / "cohort", out / "study" / "study.toml"
    if holds_files(out) and not (cohort / "truth.json").is_file():
        raise StudyError(
            f"{out} holds files and is no demonstration; nothing was written: give a new folder, "
            f"as in --out {out / 'demo'}"
        )
    if (cohort / "truth.json").is_file():
        _check_size(cohort, size)
    else:
        _say("1. corticode simulate: five simulated mice with a known truth")
        simulate(cohort, size, movies=True)
    _say("2. corticode import study2024: a catalogue of their recordings")
    import_study(cohort, study_path.parent)
    write_text(study_path, (files("corticode.study.presets") / "demo.toml").read_text("utf-8"))
    _say("3. corticode check: faults and leaks, before anything is trained")
    _check(str(study_path), with_sessions=False)
    _say(
        "4. corticode run: four decoders of traces, five folds, each mouse left out once; "
        "one decoder of movies, one fold; a map of the gru, and confounds"
    )
    _run_study(read_study(study_path), out / "run", workers=workers)
    _say("")
    _say(_in_words(out / "run", cohort / "truth.json"))
    _say(
        f"Everything is in {out}: the study file {study_path}, the simulated recordings "
        f"{cohort}, scores and decoders {out / 'run'}. The page to read (5. corticode report):"
    )
    report(out / "run")


def _run_study(
    study: "Study",
    out: Path,
    *,
    workers: int = 1,
    seeds: int = 1,
    device: str = "auto",
    executor: "Executor | None" = None,
    part: tuple[int, int] | None = None,
) -> None:
    from corticode.report.write import write_texts
    from corticode.run.execute import execute_study

    try:
        with _progress(out) as (on_plan, on_progress):
            summary = execute_study(
                study,
                out,
                n_workers=workers,
                n_seeds=seeds,
                device=_device(device) if executor is None else device,
                executor=executor,
                on_plan=on_plan,
                on_progress=on_progress,
                on_preprocessed=_say_preprocessed,
                part=part,
            )
        if summary.animal_scores is not None:
            write_texts(out)
    except KeyboardInterrupt:
        _say("stopped; run the same command again to go on", err=True)
        raise typer.Exit(130) from None
    if summary.animal_scores is not None:
        _show_scores(summary, summary.animal_scores, out)
    elif part is not None:
        _say(
            f"part {part[0]} of {part[1]} is done; {summary.n_missing} fits and maps of other "
            "parts are not: the last part to end writes the tables (or this command without --part)"
        )


def _say_preprocessed(name: str) -> None:
    _say(f"{name} preprocessed", err=True)


def _write_quality(folders: Sequence[Path]) -> None:
    """Write the page of each folder of preprocessed recordings, and say where it is."""
    for folder in folders:
        from corticode.report.quality import write_quality

        page, headline = write_quality(folder)
        _say(f"{page} shows how good the preprocessed recordings are. {headline}", err=True)


@contextmanager
def _progress(
    out: Path,
) -> Iterator[tuple[Callable[["Plan", int, int], None], Callable[["Progress"], None]]]:
    """Two callbacks that print the plan and each finished fit, on one line in a terminal."""
    live = sys.stderr.isatty()
    began = time.monotonic()

    def on_plan(plan: "Plan", n_kept: int, n_changed: int) -> None:
        from corticode.run.folder import Run, other_fits

        _show_findings([*plan.redone, *plan.findings])
        _write_quality(plan.made)
        maps = f" and {len(plan.maps)} maps" if plan.maps else ""
        _say(f"{len(plan.tasks)} fits{maps}, {n_kept} of them finished before", err=True)
        if n_changed:
            what = "fits or maps" if plan.maps else "fits"
            _say(
                f"{n_changed} finished {what} have other settings or data now and are redone",
                err=True,
            )
        n_others = len(other_fits(Run(out), (task.folder for task in plan.tasks)))
        if n_others:
            _say(
                f"{out} holds {n_others} fits of conditions, folds or seeds that are not in this "
                "study (any more); they stay on disk and enter no table",
                err=True,
            )

    def on_progress(progress: "Progress") -> None:
        left = "" if progress.seconds_left is None else f", {_clock(progress.seconds_left)} left"
        line = (
            f"{progress.n_done}/{progress.n_total} done, {_clock(time.monotonic() - began)}"
            f"{left}: {progress.last}"
        )
        typer.echo(f"\r\x1b[K{legible(line)}" if live else legible(line), err=True, nl=not live)

    try:
        yield on_plan, on_progress
    finally:
        if live:
            _say("", err=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _show_findings(findings: Sequence[Finding]) -> None:
    """Warnings first; one line for what is the same in many sessions, the many in brief."""
    together: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        # Folds of one trouble are one line; of regions, signals and keys each is another trouble.
        item = "" if finding.what in ("fold", "condition") else finding.item
        together.setdefault((finding.what, finding.reason, item), []).append(finding)
    lines = []
    for same in together.values():
        if same[0].what == "condition" and len(same) > 1:
            names = ", ".join(repr(finding.item) for finding in same)
            lines.append(f"warning: conditions {names}: {same[0].reason}")
            continue
        others = f" (and {len(same) - 1} others alike)" if len(same) > 1 else ""
        lines.append(f"warning: {same[0]}{others}")
    for line in lines[:SHOWN_FINDINGS]:
        _say(line, err=True)
    if len(lines) > SHOWN_FINDINGS:
        _say(
            f"warning: and {len(lines) - SHOWN_FINDINGS} more (all are in excluded.csv of a run)",
            err=True,
        )


def _show_scores(summary: "RunSummary", scores: "pd.DataFrame", out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from corticode.run.folder import slug

    table = Table(title="Mean within-session score, by animal, on what was left out")
    for name in ("condition", "score", "mean", "lowest", "highest", "animals"):
        table.add_column(name, justify="left" if name in ("condition", "score") else "right")
    for (condition, metric), rows in scores.groupby(["condition", "metric"], sort=False):
        values = rows["value"].dropna()
        numbers = (
            ["-"] * 3
            if values.empty
            else [f"{value:.3f}" for value in (values.mean(), values.min(), values.max())]
        )
        table.add_row(legible(str(condition)), str(metric), *numbers, f"{values.size}")
    # Names are no markup, whatever brackets and colons are in them.
    Console(markup=False, emoji=False, highlight=False).print(table)
    _show_findings([f for f in summary.findings if f.code in (NO_SCORE, NO_MAP)])
    _say(f"tables: {out}/scores.csv, session_scores.csv, animal_scores.csv, excluded.csv")
    _say(f"a methods text: {out}/methods.md")
    _say(f"a page to read: corticode report {out}")
    # Of a condition in the table: an earlier study's decoders may lie beside these.
    first = slug(str(scores["condition"].iloc[0]))
    decoder = min(out.glob(f"fits/{first}/*/*/decoder.json"), default=None)
    if decoder is not None:
        _say(f"a decoder, for 'corticode predict': {decoder.parent}")


def _check_size(cohort: Path, size: str) -> None:
    """Refuse simulated mice of another size than asked for."""
    import json

    found = json.loads((cohort / "truth.json").read_text("utf-8"))["size"]
    if found != size:
        raise StudyError(
            f"{cohort} holds mice of size {found}, not {size}; give --size {found} or another "
            "folder with --out"
        )


def _in_words(run: Path, truth_path: Path) -> str:
    """What the run's page says first, beside what was planted."""
    import json

    from corticode.report.headline import SIMULATED, headline
    from corticode.report.read_run import read_run

    truth = json.loads(truth_path.read_text("utf-8"))
    return (
        f"{headline(read_run(run, single_predictions=False))} The best possible AUC on this "
        f"cohort is about {truth['ideal_auc']:.3f}. {SIMULATED}"
    )


def _part(text: str | None) -> tuple[int, int] | None:
    """Which part of how many, from ``K/N``."""
    if text is None:
        return None
    k, _, n = text.partition("/")
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise StudyError(f"--part {text}: give K/N, as in 1/8, with K from 1 to N")
    return int(k), int(n)


def _device(name: str) -> str:
    if name not in ("auto", "cpu", "cuda"):
        raise StudyError(f"--device {name} is none of auto, cpu, cuda")
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise StudyError("--device cuda: torch finds no GPU here; use --device cpu")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def _dials(given: Sequence[str]) -> dict[str, float]:
    dials = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            dials[name] = float(value)
        except ValueError:
            raise StudyError(f"--set {text}: give NAME=VALUE with a number") from None
    return dials
