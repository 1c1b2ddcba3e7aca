"""Pages as a browser runs them: headless Chromium, without network."""

import html
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium; jobs/setup.sh --tests installs Debian's"
)


def run_in_browser(page: Path, script: str, width: int = 1400, *switches: str):
    """What the body `script` of an async function returns on `page`, as JSON carries it."""
    probe = page.with_name(page.stem + "-probe.html")
    call = f"""<script>addEventListener("load", async () => {{
      const found = await (async () => {{ {script} }})().catch((error) => ({{ error: String(error) }}));
      document.body.innerHTML = ""; document.body.dataset.found = JSON.stringify(found);
    }});</script>"""
    probe.write_text(page.read_text("utf-8").replace("</body>", call + "</body>"), "utf-8")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={page.parent / 'profile'}",
    ]
    command += [
        f"--window-size={width},900",
        "--virtual-time-budget=60000",
        "--dump-dom",
        *switches,
        probe.as_uri(),
    ]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **streams, start_new_session=True) as browser:
        try:
            dom = browser.communicate(timeout=600)[0]
        finally:
            if browser.poll() is None:
                os.killpg(browser.pid, signal.SIGKILL)  # its renderers outlive it
    found = json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))
    assert not (isinstance(found, dict) and "error" in found), found
    return found
