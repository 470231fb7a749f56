"""Find pages of the built site that are wider than a telephone.

    make docs && python tools/narrow.py        ->  a line for each page that scrolls sideways, and what is too wide

A browser (`chromium`) shows each page in a frame of 390 pixels, and tells how wide its content is.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path

SITE = Path(__file__).parents[1] / "site"
WIDTH = 390
SECONDS = 300
SCRIPT = """
const pages = %s, wide = {};
async function measure(page) {
  const frame = document.createElement("iframe");
  frame.style = "width:%dpx;height:800px;border:0";
  frame.src = page;
  const loaded = new Promise((done) => (frame.onload = done));
  document.body.append(frame);
  await loaded;
  await new Promise((done) => setTimeout(done, 300));
  const root = frame.contentDocument.documentElement;
  for (const details of root.querySelectorAll("details")) details.open = true;
  const room = root.clientWidth;
  if (root.scrollWidth > room) {
    const seen = [...frame.contentDocument.querySelectorAll(".md-content *")];
    const out = seen.filter((one) => one.getBoundingClientRect().right > room + 1 && scrolls(one));
    wide[page] = [root.scrollWidth, out.slice(0, 3).map((one) => one.outerHTML.slice(0, 90))];
  }
  frame.remove();
}
function scrolls(one) {
  for (let box = one.parentElement; box; box = box.parentElement) {
    if (getComputedStyle(box).overflowX !== "visible") return box.tagName === "HTML" || box.tagName === "BODY";
  }
  return true;
}
async function all() {
  for (const page of pages) await measure(page);
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(wide);
  document.body.append(result);
}
all();
"""


def too_wide(site: Path, width: int = WIDTH) -> dict[str, tuple[int, list[str]]]:
    """Return by page how wide it is, and the first tags that stick out; folded parts are opened."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("there is no chromium")
    pages = [path.as_uri() for path in sorted(site.glob("**/*.html"))]
    with tempfile.TemporaryDirectory() as folder:
        shell = Path(folder) / "shell.html"
        shell.write_text(f"<body><script>{SCRIPT % (json.dumps(pages), width)}</script>", encoding="utf-8")
        words = ["--headless", "--disable-gpu", "--allow-file-access-from-files", f"--user-data-dir={folder}/profile"]
        words += ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [browser, *words, "--window-size=1000,1000", "--virtual-time-budget=300000", "--dump-dom"]
        done = subprocess.run([*command, shell.as_uri()], capture_output=True, text=True, timeout=SECONDS)
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.DOTALL)
    if result is None:
        raise SystemExit(f"the browser gave no result\n{done.stderr[-2000:]}")
    found = json.loads(unescape(result[1]))
    return {page.removeprefix(f"{site.as_uri()}/"): tuple(what) for page, what in found.items()}


if __name__ == "__main__":
    wide = too_wide(Path(sys.argv[1]) if len(sys.argv) > 1 else SITE)
    for page, (width, tags) in wide.items():
        print(f"{page}: {width} pixels", *tags, sep="\n    ")
    sys.exit(bool(wide))
