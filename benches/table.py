#!/usr/bin/env python3
"""Puts the figures of a run of compare.sh into a document, between its `<!-- CASE -->` and `<!-- end -->` lines.

  table.py DIR DOCUMENT     DIR holds run_CASE.json, as ../shared/bench/measure.py writes them
"""
import json
import os
import re
import statistics
import sys


def table(path):
    with open(path) as file:
        runs = json.load(file)
    first = next(iter(runs.values()))
    lines = ["| program | wall s | (least, most) | cpu s | MiB | x wall | x cpu |", "|---|---|---|---|---|---|---|"]
    for name, rounds in runs.items():
        median = lambda field: statistics.median(run[field] for run in rounds)
        times = lambda field: statistics.median(run[field] / max(other[field], 0.001) for run, other in zip(rounds, first))
        walls = [run["wall"] for run in rounds]
        failed = "" if all(run["rc"] == 0 for run in rounds) else " (failed)"
        shown = "**flockwork**" if name == "ours" else name.split("_", 1)[1].replace("_", " ")
        lines.append(
            f"| {shown}{failed} | {median('wall'):.2f} | {min(walls):.2f}, {max(walls):.2f} | {median('cpu'):.2f} "
            f"| {median('rss'):.0f} | {times('wall'):.2f} | {times('cpu'):.2f} |"
        )
    return lines, len(first)


def main():
    place, document = sys.argv[1:]
    with open(document) as file:
        text = file.read()
    for case in re.findall(r"<!-- (\w+) -->", text):
        path = os.path.join(place, f"run_{case}.json")
        if case != "end" and os.path.exists(path):
            lines, rounds = table(path)
            new = "\n".join([f"<!-- {case} -->", f"Medians of {rounds} rounds:" if rounds > 1 else "One round:", "", *lines, "<!-- end -->"])
            text = re.sub(rf"<!-- {case} -->.*?<!-- end -->", lambda _: new, text, flags=re.S)
    with open(document, "w") as file:
        file.write(text)


main()
