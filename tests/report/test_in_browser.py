"""The page in a real browser, with no network: skipped where no headless Chromium is installed."""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from corticode.report.comparison_page import render_comparison
from corticode.report.page import render_page
from corticode.report.page_figures import page_figures
from corticode.report.run_pairing import pair_runs

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
const loaded = performance.getEntriesByType("resource").map(e => e.name);
told.loaded = loaded.filter(name => !name.startsWith("data:"));
told.faults = faults;
const out = Object.assign(document.createElement("pre"), { id: "told" });
out.textContent = JSON.stringify(told);
document.body.append(out);
</script></body>"""


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
def test_tables_and_viewer_work_and_nothing_is_asked_of_a_network(
    make_values, make_trace, tmp_path
):
    traces = [make_trace(), make_trace("m2", "<b>")]
    values = make_values(traces=traces, name="gru")
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
    assert told["first"].startswith("0.5 to 20.5 s; AUC of the session")
    assert told["zoomed"].startswith("5.5 to 15.5 s")
    assert told["worst"].startswith("stretch 1 by distance")
    assert told["whole"] == told["first"]
    assert told["filtered"] == "1 of 3 rows"
    assert told["sorted"] == "0.510 0.860 0.910"
    assert told["sessions"] == 18


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
