"""Programs that a test started do not outlive the process that ran the test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILD = "import threading; print('started', flush=True); threading.Event().wait()"
PARENT = f"""
import os, subprocess, sys
from tests.acceptance.starting import LEASH, leashed
environ = os.environ | {{"PYTHONPATH": str(LEASH)}}
subprocess.Popen([sys.executable, "-c", {CHILD!r}], **leashed(environ)).wait()
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows hands no pipe on by its number")
def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        parent.kill()
        # The child holds the other copy of this pipe: its end is the child's.
        assert parent.stdout.read() == ""
