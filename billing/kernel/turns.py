"""Many askers, one question: what is asked in one turn of the event loop is looked up together.

    ask ─┐                       ┌─ look_up(keys)   at most `AT_ONCE` under way; what comes meanwhile waits together
    ask ─┼─ the turn that waits ─┤   in the next turn
    ask ─┘                       └─ every asker is told: the answer, or the fault

What holds, whatever happens:

- An answer rests on a look-up that began after the question, never on one already under way.
- Every asker is told within `patience` seconds of the first question of its turn.
- An asker that goes away (its client hung up, its task was cancelled) takes nothing with it: the others are told, and
  the next turn begins. A turn that nobody waits for any more is not looked up at all.
- A turn ends by a callback of its task, so a fault, a cancellation or a time-out of the look-up frees its place as an
  answer does; whether the next turn begins never depends on how many wait.
"""

from asyncio import AbstractEventLoop, Future, Task, TimerHandle, get_running_loop, timeout
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")

AT_ONCE = 2
"""Look-ups under way together: while one is on its way back, the next is on its way there."""
MOST = 500
"""Keys at which a turn is full, and the next question begins another."""


class NotTold(Exception):
    """The look-up ended without an answer: it took too long, or was broken off."""


class _Turn(Generic[Found]):
    """What is asked together. Its askers are told once; who has gone away is passed over."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.keys: dict[str, int] = {}
        self.timer: TimerHandle | None = None
        self._loop = loop
        self._askers: list[Future[Mapping[str, Found] | Exception]] = []

    def join(self, keys: Iterable[str]) -> Future[Mapping[str, Found] | Exception]:
        """One more asker."""
        for key in keys:
            self.keys[key] = self.keys.get(key, 0) + 1
        asker: Future[Mapping[str, Found] | Exception] = self._loop.create_future()
        self._askers.append(asker)
        return asker

    def is_awaited(self) -> bool:
        """Whether anybody still waits."""
        return any(not asker.done() for asker in self._askers)

    def tell(self, outcome: Mapping[str, Found] | Exception) -> None:
        """Tell all who still wait. Faults are told as values: each asker raises its own."""
        if self.timer is not None:
            self.timer.cancel()
        for asker in self._askers:
            if not asker.done():
                asker.set_result(outcome)


class Turns(Generic[Found]):
    """Gathers questions into turns and looks them up; of one event loop. `look_up` is given each key of a turn with
    the number of times it was asked for."""

    def __init__(
        self,
        look_up: Callable[[Mapping[str, int]], Awaitable[Mapping[str, Found]]],
        patience: float,
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._look_up = look_up
        self._patience = patience
        self._at_once = at_once
        self._waiting: deque[_Turn[Found]] = deque()
        self._under_way: set[Task[Any]] = set()

    async def ask(self, keys: Iterable[str]) -> Mapping[str, Found] | Exception:
        """What was found for these keys and for those asked along with them, or the fault that kept it from us."""
        turn = self._waiting[-1] if self._waiting and len(self._waiting[-1].keys) < MOST else self._begin()
        return await turn.join(keys)

    def _begin(self) -> _Turn[Found]:
        loop = get_running_loop()
        turn = _Turn[Found](loop)
        turn.timer = loop.call_later(self._patience, self._give_up, turn)
        self._waiting.append(turn)
        if len(self._under_way) < self._at_once:
            loop.call_soon(self._send)
        return turn

    def _send(self) -> None:
        """Look up what waits, as far as there is room. Called when a turn begins and whenever one has ended."""
        while self._waiting and len(self._under_way) < self._at_once:
            turn = self._waiting.popleft()
            if not turn.is_awaited():
                turn.tell({})
                continue
            task = get_running_loop().create_task(self._answer(turn))
            self._under_way.add(task)
            task.add_done_callback(partial(self._ended, turn))

    async def _answer(self, turn: _Turn[Found]) -> Mapping[str, Found]:
        async with timeout(self._patience):
            return await self._look_up(turn.keys)

    def _ended(self, turn: _Turn[Found], task: Task[Mapping[str, Found]]) -> None:
        self._under_way.discard(task)
        if task.cancelled():
            turn.tell(NotTold("broken off"))
        elif isinstance(fault := task.exception(), Exception):
            turn.tell(fault)
        elif fault is None:
            turn.tell(task.result())
        else:
            turn.tell(NotTold(type(fault).__name__))
        self._send()

    def _give_up(self, turn: _Turn[Found]) -> None:
        """The turn has waited long enough, for its place or for its answer."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        turn.tell(NotTold("too late"))
