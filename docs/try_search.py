"""Search the built site in a headless browser, from the disk and with every name unknown."""

import re
import shutil
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path

SITE = Path(__file__).parent.parent / "site"
BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")
WORD, PAGE = "interleaved", "Your own recordings"
TRIES = 3
COLLECT = """<head><script>
const faults = [];
addEventListener("error", event => faults.push(event.message));
addEventListener("unhandledrejection", event => faults.push(String(event.reason)));
</script>"""
USE = f"""<script>
const field = document.querySelector('[data-md-component="search-query"]');
setTimeout(() => document.querySelector("#__search").click(), 2000);
setTimeout(() => {{
  field.value = "{WORD}";
  field.dispatchEvent(new Event("keyup", {{ bubbles: true }}));
}}, 5000);
setTimeout(() => {{
  const found = [...document.querySelectorAll(".md-search-result__article h1")];
  const told = Object.assign(document.createElement("pre"), {{ id: "told" }});
  told.textContent = [...faults, ...found.map(one => one.textContent)].join("; ");
  document.body.append(told);
}}, 9000);
</script></body>"""


def main() -> None:
    """Search, and end with an error where what is found is not what is there."""
    if BROWSER is None:
        print("no browser: search was not tried; make browser installs one where it can")
        return
    page = SITE / "try_search.html"
    text = (SITE / "index.html").read_text("utf-8")
    page.write_text(text.replace("<head>", COLLECT, 1).replace("</body>", USE), "utf-8")
    try:
        # A busy machine may take longer than the page waits.
        for _ in range(TRIES):
            told = found_on(page)
            if told.split("; ")[0] == PAGE:
                break
    finally:
        page.unlink()
    if told.split("; ")[0] != PAGE:
        sys.exit(f"a search for {WORD!r} in the site, read from the disk, gave {told!r}")
    print(f"search works from the disk: {WORD!r} is found in {told}")


def found_on(page: Path) -> str:
    """What the page says that it found."""
    with tempfile.TemporaryDirectory() as profile:
        command = [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=20000",
            page.as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    return unescape(told[1]) if told else "nothing at all"


if __name__ == "__main__":
    main()
