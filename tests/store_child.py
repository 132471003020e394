"""Append the vectors that a store lacks, as one process of its own: CACHE N PAUSE_S LOG.

With STEP BLOCK too, it stops before that step of that block, once all other threads have written
what they can before their turn, says "stopped" and waits to be killed. LEASE_S in the environment
is how long a lease in a bucket stands.
"""

import os
import sys
import threading
import time
from pathlib import Path

from helpers_store import digest, keys, vector, writer

from featx import _lease
from featx._objects import place
from featx.store import committing, layout

N_WRITERS = 4


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def stop_before(step, block):
    written, write_chunk, grow = threading.Semaphore(0), committing.write_chunk, committing.grow

    def stop():
        its_own = step in ("grow", "state")
        for _ in range(block + N_WRITERS - 1 + its_own):  # blocks before it and beside it
            written.acquire()
        say("stopped")
        threading.Event().wait()

    def stopping_write(layout, array, number, values):
        if (array, number) == (step, block):
            stop()
        write_chunk(layout, array, number, values)
        if array == "item":
            written.release()

    def stopping_grow(layout, n_blocks):
        if ("grow", n_blocks - 1) == (step, block):
            stop()
        grow(layout, n_blocks)

    committing.write_chunk, committing.grow = stopping_write, stopping_grow


def main(cache, n, pause_s, log, step="", block=""):
    layout.MAX_BLOCK_ROWS = 8
    _lease.TTL_S = float(os.environ.get("LEASE_S", _lease.TTL_S))
    if step:
        stop_before(step, int(block))
    options = {"on_wait": lambda: say("waiting"), "n_writers": N_WRITERS}
    with writer(place(cache), **options) as w, Path(log).open("a") as file:
        missing = (w.store.rows(*keys(range(int(n)))) < 0).nonzero()[0].tolist()
        say("begin")
        for i in missing:
            w.append(digest(i), 0, vector(i))
            file.write(f"{i}\n")
            file.flush()
            time.sleep(float(pause_s))
    say(f"done {len(missing)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
