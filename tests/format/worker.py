"""A worker that is none of flockwork's: does the tasks of a word count by docs/format.md alone.

usage: worker.py JOB [--only map|reduce] [--tasks N] [--die-after N]     works until the job has ended, or N tasks are done; prints a line for each task
"""

import argparse
import fcntl
import os
import random
import socket
import string
import threading
import time
import zlib
from collections import Counter

import jobdir
from jobdir import ATTEMPT


def chance(n):
    return "".join(random.SystemRandom().choices(string.ascii_lowercase + string.digits, k=n))


class Worker:
    def __init__(self, root, args):
        self.root, self.args = root, args
        host = "".join(c if c in string.ascii_letters + string.digits + "._-" else "-" for c in socket.gethostname()).lstrip(".") or "host"
        self.name = f"{host}.{os.getpid()}.{chance(6)}"
        self.held, self.claim = set(), None
        self.asked = jobdir.read_asked(root, None)
        self.beat_seconds = min(2.0, self.asked["lease_ms"] / 5000)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def register(self):
        """Locked before it has a name; then kept open for writing, and touched [9.1]."""
        draft = self.path("workers", ".tmp-" + chance(16))
        self.presence = open(draft, "ab")
        try:
            fcntl.flock(self.presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock = "taken"
        except OSError:
            lock = "broken"
        about = {"host": self.name.rsplit(".", 2)[0], "pid": os.getpid(), "uid": os.getuid(), "version": "foreign", "lock": lock}
        about.update(boot=None, device=None, since="")
        self.presence.write(jobdir.json.dumps(about).encode() + b"\n")
        self.presence.flush()
        os.rename(draft, self.path("workers", self.name))
        threading.Thread(target=self.beat, daemon=True).start()

    def beat(self):
        """By path, so that a claim that was taken away is not kept alive [9.3]."""
        while True:
            time.sleep(self.beat_seconds)
            for path in [self.path("workers", self.name)] + [claim for claim in [self.claim] if claim]:
                try:
                    os.utime(path)
                except FileNotFoundError:
                    pass

    def moved(self, source, target):
        """A rename, and the truth about it [9.2]."""
        try:
            os.rename(source, target)
            return True
        except FileNotFoundError:
            os.utime(os.path.dirname(target))
            return os.path.basename(target) in os.listdir(os.path.dirname(target))

    def claim_one(self):
        for attempt in jobdir.names(self.path("pending")):
            if ATTEMPT.fullmatch(attempt) is None or attempt in self.held or not attempt.startswith(self.args.only or ""):
                continue
            name = f"{attempt}@{self.name}"
            self.held.add(attempt)
            if self.moved(self.path("pending", attempt), self.path("claimed", name)):
                self.claim = self.path("claimed", name)
                self.say(name, {"claimed": {"host": self.name.rsplit(".", 2)[0], "pid": os.getpid()}})
                return name
        return None

    def say(self, name, event):
        """Appends to the claim's file, which is never opened for reading [5]."""
        descriptor = os.open(self.path("claimed", name), os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, jobdir.line_by(name, event))
        os.fsync(descriptor)
        os.close(descriptor)

    def write(self, folder, name, content):
        """Complete, and on the disk, before it has its name [9.4]."""
        draft = self.path(folder, ".tmp-" + chance(16))
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, self.path(folder, name))
        return {"name": name, "len": len(content)}

    def map(self, name, number):
        piece, counts, lines = jobdir.read_plan(self.root, "map").lines[number], Counter(), 0
        for line in jobdir.lines_of_split(self.root, piece["split"]["pieces"]):
            counts.update(jobdir.words(line))
            lines += 1
        parts = [[] for _ in range(self.asked["reduces"])]
        for word in sorted(counts):
            parts[jobdir.partition_of(word, len(parts))].append((word, b"%d" % counts[word]))
        content, crc = jobdir.run_bytes(parts)
        files = [{**self.write("shuffle", name + ".run", content), "crc32": crc}] if counts else []
        return {"files": files, "counters": {"records in": lines}}

    def reduce(self, name, number):
        counts = Counter()
        for line in jobdir.read_plan(self.root, "reduce").lines:
            for described in line["files"]:
                run = jobdir.read_run(self.path("shuffle", described["name"]), described, self.asked["reduces"])
                for at in range(number, len(run.slices), self.asked["reduces"]):
                    for word, count in run.pairs(at, number):
                        counts[word] += int(count)
        content = b"".join(b"%s %d\n" % (word, counts[word]) for word in sorted(counts))
        described = self.write(os.path.join(self.asked["output"], ".attempts"), name, content)
        return {"files": [{**described, "crc32": zlib.crc32(content)}], "counters": {"keys in": len(counts)}}

    def work(self, name):
        begun = time.monotonic()
        kind, number = jobdir.task_of(name)
        made = self.map(name, number) if kind == "map" else self.reduce(name, number)
        self.say(name, {"result": {"made": made, "elapsed_ms": int(1000 * (time.monotonic() - begun))}})
        self.claim = None
        return "done" if self.moved(self.path("claimed", name), self.path("done", name)) else "superseded"

    def run(self):
        self.register()
        done = 0
        while "end" not in jobdir.names(self.path("phase")) and done != self.args.tasks:
            name = None if "pause" in jobdir.names(self.root) else self.claim_one()
            if name is None:
                time.sleep(0.1)
                continue
            if self.args.die_after == done:
                print(name, "kept for ever", flush=True)
                os._exit(1)
            print(name, self.work(name), flush=True)
            done += 1
        os.remove(self.path("workers", self.name))


parser = argparse.ArgumentParser()
parser.add_argument("job")
parser.add_argument("--only", choices=["map", "reduce"])
parser.add_argument("--tasks", type=int, default=-1)
parser.add_argument("--die-after", type=int)
arguments = parser.parse_args()
Worker(arguments.job, arguments).run()
