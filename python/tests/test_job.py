"""Whole jobs, by scripts as users write them, with real processes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import flockwork
from tests.farm import LIMIT_S, FarmTest

WORD_COUNT = """
    import sys
    import flockwork

    @flockwork.map
    def words(line):
        for word in line.split():
            yield word, 1

    @flockwork.combine
    @flockwork.reduce
    def total(word, ones):
        return sum(ones)

    for word, n in flockwork.run("books", job="count", reduces=3, slots=2):
        print(word, n)
"""


class Jobs(FarmTest):
    def counted(self) -> list[str]:
        words = Counter(word for book in self.folder.glob("books/*") for word in book.read_text().split())
        return sorted(f"{word} {n}" for word, n in words.items())

    def test_a_word_count_is_right_with_and_without_a_combiner_and_is_resumed(self) -> None:
        out, _ = self.run_script(WORD_COUNT)
        self.assertEqual(sorted(out.splitlines()), self.counted())
        again, _ = self.run_script(WORD_COUNT)
        self.assertEqual(again, out, "a job that has ended is not run again")
        plain, _ = self.run_script(WORD_COUNT.replace("@flockwork.combine", "").replace('"count"', '"plain"'))
        self.assertEqual(plain, out)

    def test_any_bytes_come_through(self) -> None:
        odd = [b"a\tb", b"\xff\xfe", b"\x00\x01", b"", "é\u2028".encode(), b"\r", b'["x"]', b"\x01:"]
        self.write("odd/lines", b"\n".join(odd) + b"\n")
        self.write("odd/pairs.py", "")
        out, _ = self.run_script("""
            import flockwork
            def both(line): return [(line, [line, 1]), ((1, line), {"of": line}), (line.decode("utf-8", "surrogateescape") + "\\t\\n", None)]
            def same(key, values): return list(values)
            found = sorted(flockwork.run("odd/lines", map=both, reduce=same, raw=True, job="odd.job", slots=1), key=repr)
            print(len(found))
            for pair in found: print(ascii(pair))
        """)
        expected = []
        for line in (*odd[:5], b"", *odd[6:]):  # a lone CR before the newline is a line's end
            expected.append((line, [[line, 1]]))
            expected.append(((1, line), [{"of": line}]))
            expected.append((line.decode("utf-8", "surrogateescape") + "\t\n", [None]))
        merged: dict[object, list[object]] = {}
        for key, values in expected:
            merged.setdefault(key, []).extend(values)
        self.assertEqual(out.splitlines(), [str(len(merged)), *(ascii(pair) for pair in sorted(merged.items(), key=repr))])

    def test_without_a_reduce_the_pairs_come_sorted(self) -> None:
        out, _ = self.run_script("""
            import flockwork
            def lengths(line): return [(len(word), word) for word in line.split()]
            if __name__ == "__main__":
                print([key for key, _ in flockwork.run("books/0.txt", map=lengths, job="j", reduces=1, slots=1)])
        """)
        keys = json.loads(out)
        self.assertEqual(keys, sorted(len(word) for word in (self.folder / "books/0.txt").read_text().split()))

    def test_an_exception_fails_the_job_with_its_traceback_and_the_line(self) -> None:
        self.write("books/bad.txt", "12\nnot a number\n")
        _, err = self.run_script(
            """
            import sys
            import flockwork
            @flockwork.map
            def number(line):
                yield "sum", helper(line)
            def helper(line):
                return int(line)
            try:
                flockwork.run("books/bad.txt", job="j", slots=1, max_errors=1)
            except flockwork.FlockworkError as error:
                print(error, error.status, file=sys.stderr)
        """
        )
        for part in ["map-00000 failed", "in helper", "return int(line)", "ValueError: invalid literal", "script.py::number at line 2 of books/bad.txt: 'not a number'"]:
            self.assertIn(part, err)
        self.assertNotIn("worker.py", err, "the package's own frames are left out")

    def test_counters_are_summed_and_what_functions_print_disturbs_nothing(self) -> None:
        out, _ = self.run_script("""
            import flockwork
            @flockwork.map
            def words(line):
                print("a line that is no pair")
                flockwork.counter("Lines", "red" if "red" in line else "blue")
                return [("n", 1)]
            @flockwork.reduce
            def total(key, ones):
                flockwork.counter("Keys", "all, of them", 5)
                return sum(ones)
            done = flockwork.run("books", job="j", reduces=1, slots=1)
            print(dict(done), done.counters["Lines:red"], done.counters["Lines:blue"], done.counters["Keys:all, of them"], done.job)
        """)
        lines = [line for book in self.folder.glob("books/*") for line in book.read_text().splitlines()]
        red = sum("red" in line for line in lines)
        self.assertEqual(out, f"{{'n': {len(lines)}}} {red} {len(lines) - red} 5 j\n")

    def test_functions_are_found_in_modules_lambdas_and_below_arguments(self) -> None:
        self.write("kit/__init__.py", "")
        self.write("kit/deep.py", "from kit.words import split\ndef pairs(line): return [(word, 1) for word in split(line)]\n")
        self.write("kit/words.py", "def split(line): return line.split()\n")
        self.write("scripts/count.py", """
            import sys
            sys.path.insert(0, sys.path[0] + "/..")
            import flockwork
            import kit.deep
            least = int(sys.argv[1])
            over = flockwork.reduce(lambda word, ones: n if (n := sum(ones)) >= least else None)
            for word, n in flockwork.run("books", map=kit.deep.pairs, job=sys.argv[2], slots=1): print(word, n)
        """)
        out, _ = self.run_words("scripts/count.py", "100", "a job's name")
        self.assertEqual(sorted(out.splitlines()), [line for line in self.counted() if int(line.split()[1]) >= 100])

    def test_a_module_that_is_started_with_m_needs_the_guard(self) -> None:
        self.write("kit/__init__.py", "")
        self.write("kit/names.py", "SEPARATOR = None\n")
        self.write("kit/count.py", """
            from .names import SEPARATOR
            import flockwork
            @flockwork.map
            def words(line): return [(word, 1) for word in line.split(SEPARATOR)]
            @flockwork.reduce
            def total(word, ones): return sum(ones)
            def main():
                for word, n in flockwork.run("books", job="j", slots=1, max_errors=1): print(word, n)
            if __name__ == "__main__": main()
        """)
        out, _ = self.run_words("-m", "kit.count")
        self.assertEqual(sorted(out.splitlines()), self.counted())
        unguarded = (self.folder / "kit/count.py").read_text().replace('if __name__ == "__main__": main()', "main()").replace('"j"', '"k"')
        self.write("kit/count.py", unguarded)
        _, err = self.run_words("-m", "kit.count", status=1)
        self.assertIn('a worker came to a flockwork.run: put it below `if __name__ == "__main__":`', err)

    def test_a_script_may_run_one_job_on_the_results_of_another(self) -> None:
        out, _ = self.run_script("""
            import json
            import flockwork
            def words(line): return [(word, 1) for word in line.split()]
            def total(word, ones): return sum(ones)
            def by_count(line): return [(json.loads(line)[1], json.loads(line)[0])]
            def all_of(n, words): return sorted(words)
            if __name__ == "__main__":
                first = flockwork.run("books", map=words, reduce=total, job="first", slots=1)
                second = flockwork.run(first.job + "/output", map=by_count, reduce=all_of, job="second", reduces=1, slots=1)
                print(json.dumps(list(second)))
        """)
        found = json.loads(out)
        self.assertEqual(sorted(f"{word} {n}" for n, words in found for word in words), self.counted())
        self.assertEqual([n for n, _ in found], sorted(n for n, _ in found))

    def test_a_job_that_is_not_kept_goes_with_its_results(self) -> None:
        out, _ = self.run_script("""
            import os
            import flockwork
            @flockwork.map
            def words(line): return [(word, 1) for word in line.split()]
            with flockwork.run("books", keep=False, slots=1) as done:
                print(os.path.isdir(done.job), len(list(done)) == len(list(done)) > 10)
            print(os.path.lexists(done.job))
            gone = flockwork.run("books", keep=False, slots=1).job
            print(os.path.lexists(gone))
        """)
        self.assertEqual(out, "True True\nFalse\nFalse\n")

    def test_what_is_wrong_is_said(self) -> None:
        out, _ = self.run_script("""
            import flockwork
            def words(line): return [(word, 1) for word in line.split()]
            def tried(**how):
                try: flockwork.run(how.pop("inputs", "books"), slots=1, **how)
                except Exception as error: print(type(error).__name__, str(error).splitlines()[0])
            if __name__ == "__main__":
                tried()
                tried(map=words, inputs="nonesuch", job="j")
                tried(map=words, splitsize="1MiB", job="j")
                tried(map=lambda line: None)
                try: list(flockwork.results("books"))
                except flockwork.FlockworkError as error: print("FlockworkError", error.status, error)
        """)
        lines = out.splitlines()
        self.assertEqual(lines[0], "ValueError a job needs a map: decorate a function with @flockwork.map, or give it with map=")
        self.assertTrue(lines[1].startswith("FlockworkError ") and "nonesuch" in lines[1], lines[1])
        self.assertTrue(lines[2].startswith("FlockworkError error: unexpected argument '--splitsize'"), lines[2])
        self.assertTrue(lines[3].startswith("ValueError a worker cannot find `<lambda>` by name"), lines[3])
        self.assertTrue(lines[4].startswith("FlockworkError 1 ") and "books" in lines[4], lines[4])

    def test_a_script_without_a_guard_names_what_stands_too_late(self) -> None:
        _, err = self.run_script(
            """
            import flockwork
            def words(line): return [(word, 1) for word in line.split()]
            flockwork.run("books", map=words, job="first", slots=1)
            def late(line): return []
            flockwork.run("books", map=late, job="second", slots=1, max_errors=1)
        """,
            status=1,
        )
        self.assertIn("script.py has no `late` before its first flockwork.run: define it above", err)

    def test_reading_may_stop_early(self) -> None:
        self.run_script(WORD_COUNT)
        job = str(self.folder / "count")
        first = next(iter(flockwork.results(job)))
        self.assertIn(first, list(flockwork.results(job)))

    def test_an_interrupted_job_goes_on(self) -> None:
        script = """
            import os, time
            import flockwork
            @flockwork.map
            def words(line):
                while not os.path.exists("go"): time.sleep(0.02)
                return [(word, 1) for word in line.split()]
            @flockwork.reduce
            def total(word, ones): return sum(ones)
            for word, n in flockwork.run("books", job="count", slots=2, reduces=2): print(word, n)
        """
        self.write("script.py", script)
        child = self.start("script.py")
        self.wait_for(lambda: any(self.folder.glob("count/claimed/map-*")))
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=LIMIT_S)
        self.assertIn("KeyboardInterrupt: the job stays in count: run the same with job='count', and it goes on", err)
        self.assertFalse(list(self.folder.glob("count/claimed/*")), "the claims were given back")
        self.write("go", "")
        out, _ = self.run_words("script.py")
        self.assertEqual(sorted(out.splitlines()), self.counted())

    def wait_for(self, there: object) -> None:
        until = time.monotonic() + LIMIT_S
        while not there():  # type: ignore[operator]
            self.assertLess(time.monotonic(), until, "it never came")
            time.sleep(0.02)


class Program(FarmTest):
    def test_the_program_that_the_environment_names_is_used(self) -> None:
        self.assertTrue(Path(flockwork.job.program()).exists())
        self.assertIn("FLOCKWORK", os.environ, "the tests say which program is tested")
