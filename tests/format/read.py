"""Reads a finished job by docs/format.md alone: every name and line, every seal and checksum. Of a word count it counts the words of the input anew.

usage: read.py JOB            prints what the outputs must be (of commands: what they wrote to stdout); exits with 1 and says what is wrong
"""

import json
import os
import sys
import zlib
from collections import Counter

import jobdir
from jobdir import CLAIM, STATES, must


def check_names(root):
    """Everything there has a name of the grammar, in the folder where such names lie."""
    own = {"job.json", "coordinator.lock", "phase", "workers", "shuffle", "items", "output", "log", "status.html", "status.json", *STATES}
    must(set(jobdir.names(root)) <= own, f"nothing else lies in the job: {jobdir.names(root)}")
    for state in STATES:
        for name in jobdir.names(os.path.join(root, state)):
            grammar = jobdir.ATTEMPT if state == "pending" else CLAIM
            must(grammar.fullmatch(name) is not None or state == "expired" and jobdir.ATTEMPT.fullmatch(name) is not None, f"{state}/{name}")
    must(jobdir.names(os.path.join(root, "pending")) + jobdir.names(os.path.join(root, "claimed")) == [], "an ended job has nothing left")
    for name in jobdir.names(os.path.join(root, "workers")):
        must(jobdir.WORKER.fullmatch(name) is not None, f"workers/{name}")
    for name in jobdir.names(os.path.join(root, "log")):
        if name.endswith(".stderr"):
            must(CLAIM.fullmatch(name[: -len(".stderr")]) is not None, f"log/{name}")
            continue
        must(name.endswith(".jsonl") and jobdir.WORKER.fullmatch(name[: -len(".jsonl")]) is not None, f"log/{name}")
        for line in jobdir.lines_of(os.path.join(root, "log", name)):
            must({"at", "event"} <= set(line) <= {"at", "event", "task", "text"}, f"a line of log/{name}: {line}")


def check_records(root):
    """The results in done/, by their names."""
    made = {name: jobdir.own_result(os.path.join(root, "done", name)) for name in jobdir.names(os.path.join(root, "done"))}
    for name in made:
        first, second = jobdir.lines_of(os.path.join(root, "done", name))[:2]
        must(first["event"]["issued"]["task"] == name.split("@")[0], f"done/{name} begins with the task as issued")
        must(second["by"] == name and "claimed" in second["event"], f"then says who claimed it: {second}")
    return made


def count_runs(root, reduces, planned, made):
    """The words in the run files that count, by partition."""
    counts = [Counter() for _ in range(reduces)]
    for line in planned.lines:
        must(made[line["attempt"]]["files"] == line["files"], "the reduce plan has what the record says")
        must(jobdir.task_of(line["attempt"]) == ("map", line["task"]), "of the map task it is about")
        for described in line["files"]:
            must(described["name"] == line["attempt"] + ".run", "a run is called after its attempt")
            run = jobdir.read_run(os.path.join(root, "shuffle", described["name"]), described, reduces)
            for at in range(len(run.slices)):
                partition = at % reduces
                for key, value in run.pairs(at, partition):
                    must(jobdir.partition_of(key, reduces) == partition, f"{key!r} is of partition {partition}")
                    counts[partition][key] += int(value)
    return counts


def count_input(root, reduces, plan):
    """The same of the input, without flockwork's having seen it."""
    counts = [Counter() for _ in range(reduces)]
    for line in plan.lines:
        for text in jobdir.lines_of_split(root, line["split"]["pieces"]):
            for word in jobdir.words(text):
                counts[jobdir.partition_of(word, reduces)][word] += 1
    return counts


def check_end(root, reduces, made):
    with open(os.path.join(root, "phase", "end"), "rb") as file:
        end = json.load(file)
    must(end["outcome"] == "finished" and os.path.samefile(os.path.join(root, "phase", "end"), os.path.join(root, "phase", "finished")), "it finished")
    must([output["file"] for output in end["outputs"]] == [f"mr-out-{n:05}" for n in range(reduces)], "with all its outputs")
    for output in end["outputs"]:
        path = os.path.join(root, "output", output["file"])
        with open(path, "rb") as file:
            content = file.read()
        must((len(content), zlib.crc32(content)) == (output["len"], output["crc32"]), f"{path} is what the end says")
        must(os.path.samefile(path, os.path.join(root, "output", ".attempts", output["attempt"])), f"{path} is its attempt's file")
        described = {"name": output["attempt"], "len": output["len"], "crc32": output["crc32"]}
        must(made[output["attempt"]]["files"] == [described], f"as the record of {output['attempt']} says")
    must(end["attempts"]["done"] == len(made), "it counts the attempts")
    must(end["counters"]["records in"] == sum(result["counters"].get("records in", 0) for result in made.values()), "and sums their counters")


def check_items(root, asked, plan):
    """The items lie where the plan says, one behind the other."""
    with open(os.path.join(root, "items"), "rb") as file:
        items = file.read()
    end = b"\0" if asked["options"]["items"] == "null" else b"\n"
    must(asked["options"]["sum"] == f"{items.count(end)} items, {len(items)} bytes, {zlib.crc32(items):08x}", "the items are those that were asked for")
    pieces = [line["split"]["pieces"] for line in plan.lines]
    must([items[piece["from"] : piece["to"]] for [piece] in pieces] == items.split(end)[:-1], "each task has its item")


def print_commands(root, plan, made):
    """What the commands wrote to stdout, in the order of the items; every stretch checked."""
    by_task = {jobdir.task_of(name)[1]: name for name in made}
    must(sorted(by_task) == list(range(plan.head["maps"])), "every item's command has succeeded")
    for number in sorted(by_task):
        name = by_task[number]
        ran = made[name]["ran"]
        with open(os.path.join(root, "output", name.split("@")[1] + ".seg"), "rb") as segment:
            for kind in ["err", "out"]:
                for offset, length, crc in ran.get(kind, []):
                    segment.seek(offset)
                    stretch = segment.read(length)
                    must((len(stretch), zlib.crc32(stretch)) == (length, crc), f"a stretch of {name} is what its record says")
                    if kind == "out":
                        sys.stdout.buffer.write(stretch)


def main():
    root = sys.argv[1]
    check_names(root)
    plan = jobdir.read_plan(root, "map")
    asked = jobdir.read_asked(root, plan)
    must(plan.head["job"] == asked["id"], "the plan is the job's")
    made = check_records(root)
    if asked["app"] == "each":
        check_items(root, asked, plan)
        return print_commands(root, plan, made)
    must(asked["app"] == "wc" and asked["shuffle"] == "run", "it is a word count")
    planned = jobdir.read_plan(root, "reduce")
    must(planned.head["maps"] == plan.head["maps"] and planned.head["job"] == asked["id"], "both plans are of one job")
    counts = count_runs(root, asked["reduces"], planned, made)
    must(counts == count_input(root, asked["reduces"], plan), "the runs hold the input's words")
    check_end(root, asked["reduces"], made)
    for count in counts:
        for word in sorted(count):
            print(word.decode(), count[word])


try:
    main()
except jobdir.Wrong as wrong:
    sys.exit(f"not so: {wrong}")
