"""The page in a real browser, with no network: skipped where no headless Chromium is installed."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from corticode.explain.importance_map import ImportanceMap
from corticode.report.compare_runs import pair_runs
from corticode.report.comparison_page import render_comparison
from corticode.report.page import render_page
from corticode.report.page_figures import page_figures
from corticode.report.values import ShownClip
from corticode.report.viewers import cut_clip

BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")
# Errors are collected before the page's own script runs; at the end it is used as a person would.
COLLECT = "<script>window.faults = []; addEventListener('error', e => faults.push(e.message));\
addEventListener('securitypolicyviolation', e => faults.push(e.violatedDirective));</script>"
USE = """<script>
const at = id => document.getElementById(id);
const key = name => at("viewer-canvas").dispatchEvent(new KeyboardEvent("keydown", { key: name }));
const told = {};
told.first = at("viewer-readout").textContent;
key("+"); told.zoomed = at("viewer-readout").textContent;
key("w"); told.worst = at("viewer-readout").textContent;
key("Home"); told.whole = at("viewer-readout").textContent;
at("viewer-session").value = "1";
at("viewer-session").dispatchEvent(new Event("change"));
const filter = document.querySelector('input[data-filters="conditions"]');
filter.value = "lin"; filter.dispatchEvent(new Event("input"));
told.filtered = at("conditions-count").textContent;
filter.value = ""; filter.dispatchEvent(new Event("input"));
document.querySelectorAll("#conditions th button")[2].click();
const rows = [...at("conditions").tBodies[0].rows];
told.sorted = rows.map(row => row.cells[2].textContent).join(" ");
told.sessions = at("sessions").tBodies[0].rows.length;
const press = (element, name) =>
  element.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
if (at("map-choice")) {
  const shapes = at("map-shapes").children;
  told.shapes = [...shapes].map(one => one.getAttribute("aria-label"));
  told.stops = [...shapes].filter(one => one.getAttribute("tabindex") === "0").length;
  shapes[0].focus(); told.focused = at("map-readout").textContent;
  press(shapes[0], "ArrowRight"); told.right = at("map-readout").textContent;
  told.moved = document.activeElement === shapes[1] && shapes[1].getAttribute("tabindex") === "0";
  press(at("map-grid"), "Home"); told.peak = at("map-readout").textContent;
  press(at("map-grid"), "ArrowLeft"); told.before = at("map-readout").textContent;
  at("map-choice").value = "1"; at("map-choice").dispatchEvent(new Event("change"));
  press(at("map-grid"), "Home"); told.cell = at("map-readout").textContent;
  told.hidden = at("map-shapes-part").hidden;
}
if (at("movie-play")) {
  told.picture = at("movie-readout").textContent;
  at("movie-on").click(); told.on = at("movie-readout").textContent;
  press(at("movie-canvas"), "End"); told.end = at("movie-readout").textContent;
  at("movie-play").click(); told.playing = at("movie-play").textContent;
  at("movie-back").click(); told.stopped = at("movie-play").textContent;
  const shown = () => at("movie-canvas").toDataURL();
  const change = shown();
  at("movie-view").value = "brightness"; at("movie-view").dispatchEvent(new Event("change"));
  told.differs = shown() !== change;
  told.slider = at("movie-slider").getAttribute("aria-valuetext");
  told.last = at("movie-readout").textContent;
}
const loaded = performance.getEntriesByType("resource").map(e => e.name);
told.loaded = loaded.filter(name => !name.startsWith("data:"));
told.faults = faults;
const out = Object.assign(document.createElement("pre"), { id: "told" });
out.textContent = JSON.stringify(told);
document.body.append(out);
</script></body>"""


@pytest.fixture
def tell(make_values, make_trace, tmp_path):
    """What a page of given values did when it was used."""

    def use(**fields):
        traces = [make_trace(), make_trace("m2", "<b>")]
        values = make_values(traces=traces, name="gru", **fields)
        page = render_page(values, page_figures(values))
        page = page.replace("<head>", "<head>" + COLLECT).replace("</body>", USE)
        path = tmp_path / "report.html"
        path.write_text(page, "utf-8")
        done = _browse(path, tmp_path, "--dump-dom")
        told = json.loads(
            unescape(re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.S).group(1))
        )
        assert told["faults"] == []
        assert told["loaded"] == []
        return told

    return use


WITHOUT = "no browser: make test-browser installs a headless Chromium where it can"


def _browse(page, tmp_path, *what):
    # Every name resolves to nothing: a page that asks a network fails here.
    return subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND",
         f"--user-data-dir={tmp_path / 'profile'}", *what, page.as_uri()],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip


@pytest.mark.skipif(BROWSER is None, reason=WITHOUT)
def test_tables_and_viewer_work_and_nothing_is_asked_of_a_network(tell):
    told = tell()
    assert told["first"].startswith("0.5 to 20.5 s; AUC of the session")
    assert told["zoomed"].startswith("5.5 to 15.5 s")
    assert told["worst"].startswith("stretch 1 by distance")
    assert told["whole"] == told["first"]
    assert told["filtered"] == "1 of 3 rows"
    assert told["sorted"] == "0.510 0.860 0.910"
    assert told["sessions"] == 18


@pytest.mark.skipif(BROWSER is None, reason=WITHOUT)
def test_maps_are_read_out_by_keys(tell):
    shap = ImportanceMap(
        "deep-shap", "share", ("frame", "region"), np.array([[0.1, 0.2], [0.3, 0.4]]),
        names=("a", "<b>"), frames=(-1, 0), frame_rate_hz=10.0,
    )  # fmt: skip
    cells = ImportanceMap("occlusion", "AUC", ("row", "column"), np.eye(2), signed=np.eye(2))
    table = pd.DataFrame(
        {"condition": "gru", "map": "deep-shap", "rank": [1, 2], "region": ["<b>", "a"],
         "share": [0.6, 0.4], "low": [0.5, np.nan], "high": [0.7, np.nan], "n_animals": 3}
    )  # fmt: skip
    regions = pd.DataFrame(
        {"name": ["a", "<b>"], "group": ["M", "none"], "row": [5.0, 5.0], "column": [6.0, 20.0]}
    )
    told = tell(
        maps={("gru", "deep-shap"): shap, ("cnn", "occlusion"): cells},
        tables={"map_regions": table},
        regions=regions,
    )
    first = "region a (M): share of the map 0.4 (no interval: 3 animals); largest at frame +0 (+0.0"
    second = "region <b>: share of the map 0.6 (t interval 0.5 to 0.7, 3 animals); largest at"
    assert told["shapes"][0].startswith(first)
    assert told["stops"] == 1
    assert told["focused"].startswith(first)
    assert told["right"].startswith(second)
    assert told["moved"]
    assert told["peak"].startswith("at frame +0 (+0.00 s) 0.4; " + second)
    assert told["before"].startswith("at frame -1 (-0.10 s) 0.2; " + second)
    assert told["cell"] == "cell 1-1: loss of AUC not known"
    assert told["hidden"]


@pytest.mark.skipif(BROWSER is None, reason=WITHOUT)
def test_a_movie_is_played_and_stepped(tell, make_trace):
    rng = np.random.default_rng(0)
    clip = cut_clip(rng.integers(90, 110, (700, 8, 10)).astype(np.uint8), 15, 600, 30.0)
    told = tell(clip=ShownClip(clip, make_trace(noise=0), "<by rule>"))
    assert told["picture"] == "0.50 s: class 0 (rest); probability 0.20"
    assert told["on"] == "0.60 s: class 0 (rest); probability 0.20"
    assert told["end"] == "20.40 s: class 1 (running); probability 0.80"
    assert (told["playing"], told["stopped"]) == ("Pause", "Play")
    assert told["differs"]
    assert told["slider"] == told["last"]


@pytest.mark.skipif(BROWSER is None, reason=WITHOUT)
def test_a_screenshot_is_kept(make_values, make_trace, tmp_path):
    values = make_values(traces=[make_trace()], name="gru")
    page = tmp_path / "report.html"
    page.write_text(render_page(values, page_figures(values)), "utf-8")
    folder = Path(os.environ.get("CORTICODE_SCREENSHOTS", tmp_path))
    folder.mkdir(exist_ok=True)
    for width in (1200, 400):
        shot = folder / f"report-{width}.png"
        _browse(page, tmp_path, f"--screenshot={shot}", f"--window-size={width},6000")
        assert shot.read_bytes().startswith(b"\x89PNG")


# Before the page's own policy, which forbids every script: told once all has been laid out.
LOOK = """<script>
const faults = [];
addEventListener("error", e => faults.push(e.message));
addEventListener("securitypolicyviolation", e => faults.push(e.violatedDirective));
addEventListener("load", () => {
  const told = { faults };
  const loaded = performance.getEntriesByType("resource").map(e => e.name);
  told.loaded = loaded.filter(name => !name.startsWith("data:"));
  told.lines = [...document.querySelectorAll("svg.pair")].map(e => e.getBoundingClientRect().width);
  told.wide = document.documentElement.scrollWidth > innerWidth;
  const out = Object.assign(document.createElement("pre"), { id: "told" });
  out.textContent = JSON.stringify(told);
  document.body.append(out);
});
</script>"""


@pytest.mark.skipif(BROWSER is None, reason=WITHOUT)
def test_two_runs_are_laid_out_without_a_script_or_a_request(make_run, tmp_path):
    long = "a name that goes on and on " * 12
    a = make_run("first", {long: {"m1": 0.9, "m2": 0.8}, "gru": {"m1": 0.9, "m2": 0.7}})
    b = make_run("second", {long: {"m1": 0.8, "m2": 0.8}, "gru": {"m1": 0.8, "m2": 0.6}})
    path = tmp_path / "comparison.html"
    page = render_comparison(a, b, pair_runs(a, b))
    path.write_text(page.replace("<head>", "<head>" + LOOK), "utf-8")
    done = _browse(path, tmp_path, "--dump-dom", "--window-size=800,1200")
    told = json.loads(
        unescape(re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.S).group(1))
    )
    assert told["faults"] == []
    assert told["loaded"] == []
    assert len(told["lines"]) == 4
    assert all(width > 200 for width in told["lines"])
    assert not told["wide"]
