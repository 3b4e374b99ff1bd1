"""Run the damage of `fuzz` for long, in processes that are watched.

``make fuzz N=100000`` gives every reader N damaged files. The processes stay for the whole of it:
what a run costs is damaging and reading one file. Each may take 1 GiB above what it began with;
one that dies (of a signal, too) or does not end a run is named by the run it was at, and another
goes on behind it. Memory is the peak of the process, over all its runs.
"""

import argparse
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import wait
from pathlib import Path

from tests.saving.fuzz import FORMATS, PAIRS, WAYS, Fuzzer

CHUNK = 250  # runs of one reader at a time
STILL = 20.0  # seconds of work that one run may take
WAITS = 900.0  # seconds by the clock: it waits for something, or the machine has no time for it
GROWTH = 256  # MiB
SHARED = Path("/dev/shm")


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _size():
    """Return the address space of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _work(connection, mark):
    """Run what is asked for, until nothing more is."""
    # In memory where there is such a folder: opening files on a disk is half of the time.
    where = SHARED if os.access(SHARED, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        fuzzer = Fuzzer(folder)
        for ending, way in PAIRS:  # kernels and modules that a first run brings
            for seed in range(-8, 0):
                fuzzer.run(ending, seed, way)
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (_size() + (1 << 30), resource.RLIM_INFINITY))
        before, told = _peak(), False
        connection.send(None)
        while task := connection.recv():
            (ending, way), seeds = task
            wrong, slowest, fuzzer.counts = [], 0.0, Counter()
            for seed in seeds:
                mark.value = seed
                begin = time.process_time()
                found = fuzzer.run(ending, seed, way)
                if found.startswith("took"):  # again, without what was compiled for it
                    begin = time.process_time()
                    found = fuzzer.run(ending, seed, way)
                slowest = max(slowest, time.process_time() - begin)
                if not told and _peak() - before > GROWTH:
                    told, found = True, f"{found} grown by {_peak() - before} MiB"
                if found:
                    wrong.append((seed, found))
            connection.send((wrong, fuzzer.counts, slowest, _peak() - before))


class Worker:
    """A process that runs chunks, and what it is at."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.mark = context.Value("q", -1, lock=False)
        self.process = context.Process(target=_work, args=(other, self.mark), daemon=True)
        self.process.start()
        other.close()
        self.task, self.seen = None, (-1, 0.0, 0.0)

    def give(self, task):
        """Have a chunk run; nothing ends the process."""
        self.task, self.seen = task, (-1, 0.0, 0.0)
        self.connection.send(task)

    def stands(self):
        """Whether it has been at one run for too long."""
        if self.task is None:
            return False
        if self.mark.value != self.seen[0]:
            self.seen = (self.mark.value, self._worked(), time.monotonic())
        _, worked, begin = self.seen
        return self._worked() - worked > STILL or time.monotonic() - begin > WAITS

    def _worked(self):
        """Return the seconds that the process has computed for."""
        path = Path(f"/proc/{self.process.pid}/stat")
        if not path.exists():
            return 0.0
        user, system = path.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def result(self):
        """Return what a chunk gave, or None after the first start; EOFError if it has died."""
        return self.connection.recv()

    def end(self):
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class Pool:
    """Workers, and the sums of what they found."""

    def __init__(self, tasks, workers):
        self.tasks, self.wrong = tasks, 0
        self.counts = {pair: Counter() for pair in PAIRS}
        self.slowest, self.grown = 0.0, 0
        self.waiting = []  # what is left of chunks that were broken off
        self.workers = [Worker() for _ in range(workers)]

    def run(self):
        """Run all tasks; tell every minute how far it is."""
        told = time.monotonic()
        while self.workers:
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"{self.runs()} runs", flush=True)
            ready = wait([worker.connection for worker in self.workers], timeout=1)
            for worker in list(self.workers):
                if worker.connection in ready:
                    self._take(worker)
                elif worker.stands():
                    self._replace(worker, "does not end it")

    def runs(self):
        """Return the number of runs that have ended."""
        return sum(counts.total() for counts in self.counts.values())

    def _take(self, worker):
        try:
            result = worker.result()
        except (EOFError, OSError):
            worker.process.join(10)
            self._replace(worker, f"died with {worker.process.exitcode}")
            return
        if result is not None:
            wrong, counts, slowest, grown = result
            for seed, text in wrong:
                self._tell(worker.task[0], seed, text)
            self.counts[worker.task[0]].update(counts)
            self.slowest, self.grown = max(self.slowest, slowest), max(self.grown, grown)
        task = self.waiting.pop() if self.waiting else next(self.tasks, None)
        if task is None:
            worker.give(None)
            worker.process.join(10)
            worker.end()
            self.workers.remove(worker)
        else:
            worker.give(task)

    def _replace(self, worker, text):
        """Name the run that a worker was at; have another go on behind it."""
        if worker.task is None:
            raise RuntimeError(f"a worker {text} before its first run")
        pair, seeds = worker.task
        at = worker.mark.value
        self._tell(pair, at, text)
        self.counts[pair]["broken off"] += 1
        if rest := [seed for seed in seeds if seed > at]:
            self.waiting.append((pair, rest))
        worker.end()
        self.workers[self.workers.index(worker)] = Worker()

    def _tell(self, pair, seed, text):
        self.wrong += 1
        print(f"{pair[1]} {pair[0]} {seed}: {text[:300]}", flush=True)


def tasks(pairs, first, runs, seconds):
    """Yield chunks, of all readers in turn, until the runs or the seconds are over."""
    end = time.monotonic() + seconds
    for start in range(first, first + runs, CHUNK):
        if time.monotonic() > end:
            return
        for pair in pairs:
            yield pair, range(start, min(start + CHUNK, first + runs))


def main():
    """Run so many of each reader; print counts, and what went wrong, with its seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="of each reader")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--format", choices=FORMATS)
    parser.add_argument("--way", choices=WAYS)
    options = parser.parse_args()
    pairs = [
        (ending, way)
        for ending, way in PAIRS
        if options.format in (None, ending) and options.way in (None, way)
    ]
    pool = Pool(tasks(pairs, options.seed, options.runs, options.seconds), options.workers)
    pool.run()
    print(f"{'':22}{'read':>10}{'refused':>10}{'else':>8}")
    for (ending, way), counts in pool.counts.items():
        if counts:
            odd = counts.total() - counts["read"] - counts["refused"]
            print(f"{way:9}{ending:13}{counts['read']:10}{counts['refused']:10}{odd:8}")
    print(
        f"{pool.runs()} runs of {len(pairs)} readers, {pool.wrong} wrong, the slowest "
        f"{pool.slowest:.2f} s, grown by {pool.grown} MiB at most"
    )
    return int(pool.wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
