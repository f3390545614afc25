"""What docs/python.md shows works as printed."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import flockwork
from tests.farm import LIMIT_S, PACKAGE_FOLDER, FarmTest

TEXT = (Path(__file__).parents[2] / "docs/python.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


class Docs(FarmTest):
    def words(self) -> Counter[str]:
        return Counter(word for book in self.folder.glob("books/*") for word in book.read_text().split())

    def test_the_word_count_has_six_lines_and_is_right(self) -> None:
        script = blocks("python")[0]
        self.assertEqual(len(script.splitlines()), 6)
        out, _ = self.run_script(script)
        self.assertEqual(Counter(dict((line.split(" ", 1)[1], int(line.split(" ", 1)[0])) for line in out.splitlines())), self.words())
        indented = "".join(f"    {line}\n" for line in script.splitlines())
        self.assertIn(indented, flockwork.__doc__ or "", "the package's own words show the same")

    def test_its_command_shows_the_most_frequent_words(self) -> None:
        self.write("count.py", blocks("python")[0])
        (command,) = blocks("sh")
        environment = {**os.environ, "PYTHONPATH": PACKAGE_FOLDER, "FLOCKWORK": flockwork.job.program()}
        said = subprocess.run(["sh", "-c", command], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True)
        lines = said.stdout.decode().splitlines()
        self.assertEqual([int(line.split()[0]) for line in lines], [n for _, n in self.words().most_common(3)])

    def test_the_means_are_right(self) -> None:
        out, _ = self.run_script(blocks("python")[1])
        lengths: dict[str, list[int]] = {}
        for word in self.words().elements():
            lengths.setdefault(word[0].lower(), []).append(len(word))
        self.assertEqual(out.splitlines(), [f"{letter} {sum(found) / len(found):.1f}" for letter, found in sorted(lengths.items())])
        self.assertFalse(list(self.folder.glob("flockwork-*")), "it was not kept")

    def test_the_chain_of_two_jobs_is_right(self) -> None:
        out, _ = self.run_script(blocks("python")[2])
        books = [set(book.read_text().split()) for book in self.folder.glob("books/*")]
        spread = Counter(sum(word in book for book in books) for word in set().union(*books))
        lines = [f"{n_words} words in {n_books} books" for n_books, n_words in sorted(spread.items())]
        self.assertEqual(out.splitlines(), [*lines, f"{spread[1]} in one book only"])

    def test_every_example_is_one_of_these(self) -> None:
        self.assertEqual((len(blocks("python")), len(blocks("sh"))), (3, 1))
