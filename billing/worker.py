"""Celery: the doorbell and who answers it. Messages carry the name of a piece of work, nothing else (S72).

    queue webhooks   what a paid event needs to become a right and news of it: webhooks.handle, outbox.relay
    queue provider   what calls the provider and no event waits for: checkout.sweep, refunds.send
    queue notices    letters.plan, letters.seasons, letters.send
    queue bulk       everything that may wait

Beat rings for everything every 30 s; commits ring at once. What is due stands in tables, so a lost ring costs seconds,
a doubled one nothing, and three beats are harmless (I23).
"""

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any, cast

import structlog
from celery import Celery, bootsteps
from celery.signals import worker_process_init, worker_process_shutdown
from celery.worker import state
from kombu.exceptions import KombuError

from billing.kernel import logs, metrics
from billing.kernel.settings import Settings, load
from billing.kernel.sheets import Sheets, folder_of
from billing.kernel.work import Work
from billing.wiring import Services, build

TASK = "work.run"
QUEUES = ("webhooks", "provider", "notices", "bulk")
SWEEP_SECONDS = 30.0
_MOST_BATCHES = 100
_LISTEN_SECONDS = 5.0
"""Between two looks at what a worker holds; what is held in vain at both is lost."""
_LONGEST_SECONDS = 300
"""For which a worker process waits for one run before it takes the next ring."""
_ENOUGH_SECONDS = 120
"""After which no further batch is begun, so that none is left running that nobody waits for; the next ring goes on."""

log = structlog.get_logger(__name__)


class _Hall:
    """One event loop in a thread for each worker process, and the services that live on it."""

    def __init__(self, settings: Settings, doorbell: "CeleryDoorbell") -> None:
        self.services: Services = build(settings, doorbell)
        self.works: dict[str, Work] = {work.name: work for work in self.services.works}
        self._sheets = Sheets(folder_of(settings), "worker")
        self._sheets.begin()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="services", daemon=True).start()

    def do(self, name: str) -> int:
        """All batches of a piece of work that are due; answers how many pieces were done."""
        running = asyncio.run_coroutine_threadsafe(self._drain(self.works[name]), self.loop)
        return outcome(name, running, _LONGEST_SECONDS)

    async def _drain(self, work: Work) -> int:
        total, ends = 0, monotonic() + _ENOUGH_SECONDS
        for _ in range(_MOST_BATCHES):
            done = await work.run(self.services.clock.now())
            total += done
            if not done or monotonic() > ends:
                break
        metrics.WORK_DONE.labels(work.name).inc(total)
        return total

    def close(self) -> None:
        """Give all connections back and stop the loop."""
        self._sheets.end()
        asyncio.run_coroutine_threadsafe(self.services.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)


def outcome(name: str, running: Future[int], patience: float) -> int:
    """How many pieces a run has done. One that takes longer than so many seconds, as a look at a season's books does,
    goes on beside whatever comes next, and is told of where it fails. Raises what the run raises."""
    try:
        return running.result(patience)
    except TimeoutError:
        if running.done():
            raise
    log.info("work_goes_on", work=name)
    running.add_done_callback(partial(_tell_of_late, name))
    return 0


def _tell_of_late(name: str, running: Future[int]) -> None:
    if running.cancelled():
        log.warning("work_broken_off", work=name)
    elif (fault := running.exception()) is not None:
        metrics.WORK_FAILED.labels(name).inc()
        log.error("work_failed", work=name, exc_info=fault)


class CeleryDoorbell:
    """Rings through the broker from a thread of its own, so that no request ever waits for the broker (F25)."""

    def __init__(self, app: Celery, queues: dict[str, str]) -> None:
        self._app = app
        self._queues = queues
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="doorbell")
        self._pending: set[str] = set()
        self._lock = threading.Lock()

    def ring(self, names: Iterable[str]) -> None:
        """Wake whoever does the named work; a ring that is still waiting to go out stands for both."""
        for name in names:
            with self._lock:
                if name in self._pending:
                    continue
                self._pending.add(name)
            self._pool.submit(self._send, name)

    def _send(self, name: str) -> None:
        with self._lock:
            self._pending.discard(name)
        try:
            self._app.send_task(TASK, args=(name,), queue=self._queues.get(name, "bulk"), retry=False)
        except (KombuError, OSError) as fault:
            log.warning("ring_lost", work=name, fault=type(fault).__name__)


def bare_celery(settings: Settings) -> Celery:
    """A Celery that can ring; JSON only, nothing acknowledged before it is done, no timers (R129, S71)."""
    app = Celery("billing", broker=settings.broker_url.value)
    is_redis = settings.broker_url.value.startswith("redis")
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"visibility_timeout": 600, "unacked_restore_throttle": 1}
        if is_redis
        else {"confirm_publish": True},
        task_default_queue="bulk",
        timezone="UTC",
    )
    return app


def ringing(settings: Settings) -> CeleryDoorbell:
    """A doorbell for a process that does no work itself, as the web does."""
    return CeleryDoorbell(bare_celery(settings), _queues(settings))


def _queues(settings: Settings) -> dict[str, str]:
    return {work.name: work.queue for work in build(settings).works}


def create_celery(settings: Settings | None = None) -> Celery:
    """The worker's and beat's application: one task, and a ring for each kind of work every 30 seconds."""
    settings = settings or load()
    logs.configure(settings.log_level)
    app = bare_celery(settings)
    queues = _queues(settings)
    hall: list[_Hall] = []

    def open_hall(**_: Any) -> None:
        hall.append(_Hall(settings, CeleryDoorbell(app, queues)))

    def close_hall(**_: Any) -> None:
        if hall:
            hall.pop().close()

    worker_process_init.connect(open_hall, weak=False)
    worker_process_shutdown.connect(close_hall, weak=False)

    def run(name: str) -> int:
        """Do what is due of one kind. An unknown name is another version's, and left to its sweep (F12)."""
        if not hall or name not in hall[0].works:
            log.warning("work_not_known", work=str(name)[:64])
            return 0
        try:
            return hall[0].do(name)
        except Exception:
            metrics.WORK_FAILED.labels(name).inc()
            log.exception("work_failed", work=name)
            return 0

    app.task(run, name=TASK)
    cast("Any", app.steps)["consumer"].add(Hearing)
    app.conf.beat_schedule = {
        name: {"task": TASK, "schedule": SWEEP_SECONDS, "args": (name,), "options": {"queue": queue, "expires": 60}}
        for name, queue in queues.items()
    }
    return app


class Hearing(bootsteps.StartStopStep):
    """A step of Celery's consumer that notices when a worker has gone deaf, and has it connect anew (F25).

    Where the broker dies just as a worker says that a message is done, Celery logs that and goes on, and the message
    counts as held for ever. Once as many are held as may be at a time, no more are fetched; then nothing is read from
    the broker, and not even its death is noticed: the process lives, its log is silent, and all work waits.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None
        self._in_vain = 0

    def start(self, parent: Any) -> None:
        """Look now and then, as long as this connection lasts."""
        self._in_vain = 0
        self._timer = parent.timer.call_repeatedly(_LISTEN_SECONDS, self.look, (parent,))

    def stop(self, parent: Any) -> None:
        """Look no more."""
        del parent
        if self._timer is not None:
            self._timer.cancel()

    def look(self, parent: Any) -> None:
        """Compare what is held with what is worked on. Raises ConnectionResetError, as if the broker had hung up."""
        before, self._in_vain = self._in_vain, held(parent) - len(cast("Any", state).reserved_requests)
        if before > 0 and self._in_vain > 0:
            log.warning("worker_deaf", held=self._in_vain)
            raise ConnectionResetError("messages are held that nobody works on")


def held(parent: Any) -> int:
    """Messages that this worker has fetched and not yet said to be done, where we count them and not the broker."""
    qos = getattr(parent.task_consumer.channel, "qos", None)
    return qos.prefetch_count - qos.can_consume_max_estimate() if qos is not None and qos.prefetch_count else 0
