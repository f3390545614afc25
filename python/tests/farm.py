"""The fixture: a temporary folder with small books, and scripts that are run in it as users run them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

import flockwork

LIMIT_S = 300
"""No script of these tests needs longer, also on a machine that is busy with other things."""
PACKAGE_FOLDER = str(Path(flockwork.__file__).parent.parent)


class FarmTest(unittest.TestCase):
    """A test in a folder of its own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="flockwork-python-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for number in range(3):
            lines = (f"the {word} of book {number} is the {'red' if n % 3 else 'blue'} one" for n, word in enumerate("abcdefgh" * 20))
            self.write(f"books/{number}.txt", "\n".join(lines) + "\n")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(textwrap.dedent(text).encode() if isinstance(text, str) else text)
        return path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts Python in the folder, in a process group of its own."""
        environment = {**os.environ, "PYTHONPATH": PACKAGE_FOLDER, "FLOCKWORK": flockwork.job.program()}
        child = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,
        )
        self.addCleanup(self._kill, child)
        return child

    @staticmethod
    def _kill(child: subprocess.Popen[str]) -> None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.communicate()

    def run_words(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Runs Python to its end; stdout and stderr."""
        child = self.start(*words)
        out, err = child.communicate(timeout=LIMIT_S)
        self.assertEqual(child.returncode, status, f"{words} said:\n{out}\n{err}")
        return out, err

    def run_script(self, text: str, *args: str, status: int = 0) -> tuple[str, str]:
        self.write("script.py", text)
        return self.run_words("script.py", *args, status=status)
