"""R10 with a real process: what is still open when the stop is over and the process itself lives on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import json, os, sys, threading
from anchorwatch.io import cli

def open_ones():
    shown = []
    for number in os.listdir("/proc/self/fd"):
        try:
            shown.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            pass  # the listing's own
    return sorted(one for one in shown if not one.startswith("/proc"))

before = open_ones()
code = cli.command(["run", "--speed", "600", "--for", "10m", "--log-format", "json"])
sys.stderr.write(json.dumps({"code": code, "before": before, "after": open_ones(), "threads": threading.active_count()}))
"""


@pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="only Linux shows a process's open files this way"
)
def test_r10_7_when_the_stop_is_over_the_process_holds_no_socket_no_file_and_no_thread(
    tmp_path: Path,
) -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / ".src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = json.loads(told.stderr.splitlines()[-1])
    assert said["code"] == 0
    assert '"dest":"READY"' in told.stdout
    assert said["after"] == said["before"]
    assert said["threads"] == 1
