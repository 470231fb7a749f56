"""What a real browser makes of a page: a script's answer, read back."""

import json
import os
import re
import shutil
import subprocess
from html import unescape

import pytest

needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")

SHOW = """
<script>
const answer = JSON.stringify((() => { %s })());
document.body.innerHTML = "<pre id=answer></pre>";
document.getElementById("answer").textContent = answer;
</script>
"""


def answer(body, question, folder):
    """Open a page and return what a script says of it.

    Args:
        body: HTML, its scripts among it.
        question: a function's body in JavaScript, which returns what JSON has.
        folder: for the page and the browser's profile.
    """
    page = folder / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><body>{body}{SHOW % question}", encoding="utf-8")
    words = ["--headless", "--disable-gpu", f"--user-data-dir={folder}/profile", "--dump-dom"]
    words += ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run(["chromium", *words, page.as_uri()], capture_output=True, text=True, timeout=60)
    return json.loads(unescape(re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
