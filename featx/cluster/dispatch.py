"""Parts of some work handed out to workers as they become free, and each collected once.

Near the end a part that takes far longer than the others is given to a second worker, whose result
counts if it is the first (Dean and Ghemawat, MapReduce, OSDI 2004, section 3.6).
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from featx.cluster.workers import on_worker
from featx.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PARTS_A_WORKER = 2
"""One that is being done, and one that waits at the worker."""
STRAGGLER_S = 60.0
"""A part that takes no longer than this is no straggler."""
STRAGGLER_TIMES = 4.0
"""And neither is one that takes no longer than so often the median of the others."""
_LOOK_S = 1.0


@dataclass
class _Attempt:
    """One worker's try at a part."""

    number: int
    part: Any
    begun: float = field(default_factory=time.monotonic)


@dataclass
class Dispatch:
    """The parts that are out, and those that are done."""

    client: Any
    say: Callable[[str], None]
    function: Callable[[Any, Any], Any]
    common: Any
    parts: Iterator[Any]
    without: Sequence[str]
    out: dict[Any, _Attempt] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    took_s: list[float] = field(default_factory=list)
    n_begun: int = 0
    exhausted: bool = False

    def results(self) -> Iterator[Any]:
        """Hand out and collect."""
        from distributed import wait

        while True:
            self._hand_out()
            if not self.out:
                return
            try:
                finished = wait(list(self.out), _LOOK_S, "FIRST_COMPLETED").done
            except TimeoutError:
                finished = set()
            for future in finished:
                attempt = self.out.pop(future)
                if attempt.number in self.done or self._may_yet(future, attempt):
                    continue
                result = _result(future)
                self.done.add(attempt.number)
                self.took_s.append(time.monotonic() - attempt.begun)
                self._forget(attempt.number)
                yield result

    def cancel(self) -> None:
        """Give up what is still out."""
        if self.out and self.client.status == "running":
            self.client.cancel(list(self.out), force=True)

    def _addresses(self) -> list[str]:
        return [a for a in self.client.nthreads() if a not in self.without]

    def _hand_out(self) -> None:
        addresses = self._addresses()
        room = PARTS_A_WORKER * max(1, len(addresses))
        while not self.exhausted and len(self.out) < room:
            try:
                part = next(self.parts)
            except StopIteration:
                self.exhausted = True
            else:
                self._submit(_Attempt(self.n_begun, part), addresses if self.without else None)
                self.n_begun += 1
        if self.exhausted:
            self._help_stragglers()

    def _submit(self, attempt: _Attempt, workers: Sequence[str] | None) -> None:
        future = self.client.submit(
            on_worker,
            self.function,
            self.common,
            attempt.part,
            workers=workers,
            allow_other_workers=workers is not None and not self.without,
            pure=False,
        )
        self.out[future] = attempt

    def _help_stragglers(self) -> None:
        median = statistics.median(self.took_s) if self.took_s else 0.0
        limit = max(STRAGGLER_S, STRAGGLER_TIMES * median)
        now = time.monotonic()
        late = {f: a for f, a in self.out.items() if now - a.begun > limit}
        tried = [a.number for a in self.out.values()]
        alone = {f: a for f, a in late.items() if tried.count(a.number) == 1}
        if not alone:
            return
        processing = self.client.processing()
        for future, attempt in alone.items():
            others = [a for a in self._addresses() if future.key not in processing.get(a, ())]
            if others:
                self.say(
                    f"a part has taken {now - attempt.begun:.0f} s: another worker does it too"
                )
                self._submit(_Attempt(attempt.number, attempt.part), others)

    def _may_yet(self, future: Any, attempt: _Attempt) -> bool:
        """Whether an attempt failed while another worker is at the same part."""
        others = any(a.number == attempt.number for a in self.out.values())
        return bool(others and future.status != "finished")

    def _forget(self, number: int) -> None:
        """Cancel what is still at a part that is done; what it writes belongs to nobody."""
        late = [future for future, attempt in self.out.items() if attempt.number == number]
        for future in late:
            del self.out[future]
        if late:
            self.client.cancel(late, force=True)


def _result(future: Any) -> Any:
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        raise ClusterError(
            "a part of the work ended several workers, one after the other, most likely for want "
            "of memory; give each worker more, or take fewer of them"
        ) from error
