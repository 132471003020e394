"""Append the vectors that a store lacks, as one process of its own: CACHE N PAUSE_S LOG."""

import sys
import time
from pathlib import Path

from helpers_store import digest, keys, vector, writer

from featx.store import layout


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(cache, n, pause_s, log):
    layout.MAX_BLOCK_ROWS = 8
    with writer(Path(cache), on_wait=lambda: say("waiting")) as w, Path(log).open("a") as file:
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
