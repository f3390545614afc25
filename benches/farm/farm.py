#!/usr/bin/env python3
"""Runs each program over N small tasks, in turn, round by round, and prints the table.

  farm.py ROUNDS TASKS [--document FILE]     FILE has the lines <!-- farm --> and <!-- end -->

Every program's function returns the seconds it took and how many tasks it knows to be done. Of Python libraries the interpreter's start is left out of the seconds; of commands nothing is.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SLOTS = os.environ.get("SLOTS", "2")
OURS = os.environ["FLOCKWORK"]
# Slow ones do fewer: so many times.
SLOW = 5


def timed(command, folder, **how):
    begun = time.monotonic()
    ran = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, **how)
    if ran.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {ran.returncode}: {ran.stderr.decode(errors='replace')[-500:]}")
    return time.monotonic() - begun, ran.stdout


def ours_noop(*options):
    def run(n, folder):
        command = [OURS, "run", "noop", "--split-lines", "1", "-r", "1", "--quiet", "--json", "--slots", SLOTS, "--job", "job", *options, "items"]
        seconds, said = timed(command, folder, stdout=subprocess.PIPE)
        return seconds, json.loads(said)["counters"]["records in"]

    return run


def ours_each(n, folder):
    command = [OURS, "each", "--quiet", "--json", "--slots", SLOTS, "--job", "job", "-a", "items", "--", "true"]
    seconds, said = timed(command, folder, stdout=subprocess.PIPE)
    return seconds, json.loads(said)["attempts"]["done"]


# Of these two the exit status says that all were done: 0 only if none failed and none was left out.
def xargs(n, folder):
    with open(f"{folder}/items") as items:
        return timed(["xargs", f"-P{SLOTS}", "-n1", "true"], folder, stdin=items)[0], n


def parallel(n, folder):
    with open(f"{folder}/items") as items:
        return timed(["parallel", "--will-cite", f"-j{SLOTS}", "-N1", "true"], folder, stdin=items)[0], n


def library(kind):
    def run(n, folder):
        _, said = timed([sys.executable, f"{HERE}/peer.py", kind, str(n), SLOTS], folder, stdout=subprocess.PIPE)
        told = json.loads(said.splitlines()[-1])
        return told["seconds"], told["done"]

    return run


# Name, group, how many times fewer tasks, function.
PROGRAMS = [
    ("flockwork run noop", "nothing", 1, ours_noop()),
    ("flockwork run noop, a file each", "nothing", 1, ours_noop("--bundle", "1")),
    ("femtoqueue", "nothing", 1, library("femtoqueue")),
    ("task-queue", "nothing", 1, library("taskqueue")),
    ("jug", "nothing", 1, library("jug")),
    ("fs-task-queue", "nothing", SLOW, library("fstq")),
    ("flockwork each", "true", 1, ours_each),
    ("xargs", "true", 1, xargs),
    ("HyperQueue", "true", 1, library("hyperqueue")),
    ("jug, a process each", "true", SLOW, library("jug_process")),
    ("GNU parallel", "true", SLOW, parallel),
]


def measure(rounds, tasks):
    only = os.environ.get("ONLY", "").split()
    chosen = [program for program in PROGRAMS if not only or program[0] in only or program[0].split(",")[0].split()[-1] in only]
    figures, failed = {program[0]: [] for program in chosen}, {}
    for _ in range(rounds):
        for name, _, fewer, function in chosen:
            if name in failed:
                continue
            n = max(tasks // fewer, 1)
            folder = tempfile.mkdtemp(prefix="farm-", dir=os.environ["W"])
            try:
                with open(f"{folder}/items", "w") as items:
                    items.writelines(f"{i}\n" for i in range(n))
                seconds, done = function(n, folder)
                if done != n:
                    raise RuntimeError(f"{done} of {n} tasks were done")
                figures[name].append((n, seconds))
                print(f"{name}: {n} tasks, {seconds:.2f} s, {n / seconds:.0f}/s", flush=True)
            except (RuntimeError, OSError, ValueError, KeyError) as error:
                failed[name] = str(error)
                print(f"{name} FAILED: {error}", flush=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return figures, failed


def table(figures, failed):
    lines = []
    for group, title in [("nothing", "tasks that do nothing"), ("true", "a process for each task (`true`)")]:
        names = [name for name, of, _, _ in PROGRAMS if of == group and figures.get(name) and name not in failed]
        if not names:
            continue
        lines += [f"| {title} | tasks | s | (least, most) | tasks/s | x the first |", "|---|---|---|---|---|---|"]
        rate = lambda name: statistics.median(n / seconds for n, seconds in figures[name])
        for name in names:
            seconds = [run[1] for run in figures[name]]
            shown = f"**{name}**" if name.startswith("flockwork") else name
            # Of the same round, so that what else the machine did is in both.
            times = statistics.median((n / s) / (m / t) for (n, s), (m, t) in zip(figures[name], figures[names[0]]))
            lines.append(
                f"| {shown} | {figures[name][0][0]:,} | {statistics.median(seconds):.2f} | {min(seconds):.2f}, {max(seconds):.2f} "
                f"| {rate(name):,.0f} | {times:.2f} |"
            )
        lines.append("")
    return lines


def main():
    rounds, tasks = int(sys.argv[1]), int(sys.argv[2])
    figures, failed = measure(rounds, tasks)
    lines = table(figures, failed)
    print("\n" + "\n".join(lines))
    if "--document" in sys.argv:
        path = sys.argv[sys.argv.index("--document") + 1]
        with open(path) as file:
            text = file.read()
        new = "\n".join(["<!-- farm -->", f"Medians of {rounds} rounds:" if rounds > 1 else "One round:", "", *lines, "<!-- end -->"])
        text, found = re.subn(r"<!-- farm -->.*?<!-- end -->", lambda _: new, text, flags=re.S)
        if not found:
            sys.exit(f"farm.py: {path} has no <!-- farm --> line")
        with open(path, "w") as file:
            file.write(text)
    for name, why in failed.items():
        print(f"farm.py: {name}: {why}", file=sys.stderr)
    sys.exit(1 if failed else 0)


main()
