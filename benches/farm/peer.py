#!/usr/bin/env python3
"""One Python farm over N small tasks with some worker processes, in the current folder.

  peer.py KIND N WORKERS     KIND: femtoqueue taskqueue fstq jug jug_process hyperqueue

Prints a line of JSON: the seconds from the first task handed in to the last one done, and how many are done as the library tells it.
"""
import json
import os
import subprocess
import sys
import time
from multiprocessing import Process, Value


def noop(*_):
    return 1


# When the last task was done: some workers take their time before they believe that there is no more.
LAST = Value("d", 0.0)


def done_now():
    with LAST.get_lock():
        LAST.value = max(LAST.value, time.monotonic())


def side_by_side(workers, target, *args):
    processes = [Process(target=target, args=(n, *args)) for n in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode != 0:
            sys.exit(f"a worker ended with {process.exitcode}")


def femto_worker(n, folder):
    from femtoqueue import FemtoQueue

    queue = FemtoQueue(folder, f"worker{n}")
    while (task := queue.pop()) is not None:
        queue.done(task)
    done_now()


def femtoqueue(n, workers):
    from femtoqueue import FemtoQueue

    queue = FemtoQueue("queue", "source")
    begun = time.monotonic()
    for task in range(n):
        queue.push(b"%d" % task)
    side_by_side(workers, femto_worker, "queue")
    return LAST.value - begun, len(os.listdir("queue/done"))


def taskqueue_worker(_, folder):
    from taskqueue import QueueEmptyError, TaskQueue

    queue = TaskQueue("fq://" + folder)
    while True:
        try:
            task = queue.lease(seconds=600)
        except QueueEmptyError:
            return
        task = task[0] if isinstance(task, list) else task
        task.execute()
        queue.delete(task)
        done_now()


def taskqueue(n, workers):
    from functools import partial

    from taskqueue import TaskQueue

    folder = os.path.abspath("queue")
    queue = TaskQueue("fq://" + folder)
    begun = time.monotonic()
    queue.insert((partial(queueable_noop, task) for task in range(n)), total=n)
    side_by_side(workers, taskqueue_worker, folder)
    return LAST.value - begun, n - queue.enqueued


def fstq_worker(_, folder):
    import logging

    logging.disable(logging.CRITICAL)
    from fs_task_queue import core
    from fs_task_queue.plugins.filelock import FileLock

    queue = core.Queue(folder, lock_class=FileLock)
    while True:
        try:
            queue.dequeue(timeout=0.5, interval=0.1)()
            done_now()
        except TimeoutError:
            return


def fstq(n, workers):
    import peer
    from fs_task_queue import core

    os.mkdir("queue")
    queue = core.Queue("queue")
    begun = time.monotonic()
    for task in range(n):
        queue.enqueue(peer.noop, task)
    side_by_side(workers, fstq_worker, "queue")
    return LAST.value - begun, queue.stats()["finished"]


JUGFILE = """
import subprocess
from jug import Task

def noop(i):
    return i

def process(i):
    return subprocess.call(["true"])

tasks = [Task({function}, i) for i in range({n})]
"""


def jug_of(function, n, workers):
    with open("jugfile.py", "w") as file:
        file.write(JUGFILE.format(function=function, n=n))
    program = os.path.join(os.path.dirname(sys.executable), "jug")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begun = time.monotonic()
    running = [subprocess.Popen([program, "execute", "jugfile.py"], **quiet) for _ in range(workers)]
    failed = [run.returncode for run in running if run.wait() != 0]
    seconds = time.monotonic() - begun
    if failed:
        sys.exit(f"jug ended with {failed[0]}")
    folders = [files for place, _, files in os.walk("jugfile.jugdata") if "locks" not in place and "tempfiles" not in place]
    return seconds, sum(name.endswith(".pkl") or len(name) >= 30 for files in folders for name in files)


def jug(n, workers):
    return jug_of("noop", n, workers)


def jug_process(n, workers):
    return jug_of("process", n, workers)


def hyperqueue(n, workers):
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    with LocalCluster() as cluster:
        for _ in range(workers):
            cluster.start_worker(WorkerConfig(cores=1))
        client = cluster.client()
        begun = time.monotonic()
        job = Job()
        for _ in range(n):
            job.program(["true"], stdout=None, stderr=None)
        submitted = client.submit(job)
        well = client.wait_for_jobs([submitted])
        seconds = time.monotonic() - begun
        failed = client.get_failed_tasks(submitted)
        return seconds, n - len(failed) if well else 0


# It wants to be found in this module; it is large, and HyperQueue forks this very process for each task.
if sys.argv[1:2] == ["taskqueue"]:
    from taskqueue import queueable

    @queueable
    def queueable_noop(task):
        return task


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import peer

    seconds, done = getattr(peer, sys.argv[1])(int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps({"seconds": seconds, "done": done}), flush=True)
