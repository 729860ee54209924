"""What is counted in one process is told by any other of the machine, and by nobody else (R138)."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from billing.kernel import metrics
from billing.kernel.settings import Standing, load_as
from billing.kernel.sheets import Sheets, folder_of
from billing.openapi import PLACE
from tests.entitlements.machines import until

_OTHER = """
import sys
from pathlib import Path
from billing.kernel import metrics
from billing.kernel.sheets import Sheets
mine = Sheets(Path(sys.argv[1]), "worker")
metrics.LETTERS.labels("only_here", "handed_over").inc(int(sys.argv[2]))
mine.begin()
print("begun", flush=True)
sys.stdin.read()
mine.end()
"""


@contextmanager
def another(folder: Path, letters: int) -> Generator[Popen[str]]:
    """A worker that has handed over some letters, until it is told to end."""
    command = [sys.executable, "-c", _OTHER, str(folder), str(letters)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process


@pytest.fixture
def here(tmp_path: Path) -> Sheets:
    return Sheets(tmp_path / "counts", "web")


def handed_over(told: bytes) -> dict[str, float]:
    """By process: how many letters of a kind were handed over that no other test counts."""
    families = list(text_string_to_metric_families(told.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "each family stands in one place"
    return {
        sample.labels["process"].split("-")[0]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "billing_letters_total" and sample.labels["kind"] == "only_here"
    }


async def test_r138_what_workers_counted_is_told_beside_what_this_process_did(here: Sheets, tmp_path: Path) -> None:
    metrics.LETTERS.labels("only_here", "handed_over").inc(5)
    own = handed_over(here.told())
    assert set(own) == {"web"}
    with another(tmp_path / "counts", 3) as worker:
        await until(lambda: handed_over(here.told()) == own | {"worker": 3}, "the worker's sheet")
        metrics.LETTERS.labels("only_here", "handed_over").inc()
        assert handed_over(here.told()) == {"web": own["web"] + 1, "worker": 3}, "its own as they stand now"
        worker.communicate("")
    assert handed_over(here.told()).keys() == {"web"}, "it ended and took its sheet along"


async def test_a_process_that_was_killed_is_not_told_of_for_long(here: Sheets, tmp_path: Path) -> None:
    with another(tmp_path / "counts", 3) as worker:
        await until(lambda: "worker" in handed_over(here.told()), "the worker's sheet")
        worker.kill()
    (left,) = (tmp_path / "counts").iterdir()
    os.utime(left, (0, 0))
    assert "worker" not in handed_over(here.told())
    here.begin()
    await until(lambda: not left.exists(), "it is taken away")
    here.end()
    assert not (tmp_path / "counts").exists()


async def test_s87_a_folder_into_which_others_may_write_is_not_believed(here: Sheets, tmp_path: Path) -> None:
    folder = tmp_path / "counts"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "forged.prom").write_text("# HELP forged x\n# TYPE forged counter\nforged 1\n")
    with capture_logs() as said:
        here.begin()
        await until(lambda: bool(said), "it says so")
        here.end()
    assert [(line["event"], line["fault"]) for line in said] == [("counts_not_shared", "PermissionError")]
    assert b"forged" not in here.told()
    assert b"billing_http_requests" in here.told()
    assert [path.name for path in folder.iterdir()] == ["forged.prom"], "nothing was written, nothing taken away"


def test_two_installations_on_a_machine_have_a_folder_each() -> None:
    folders = {
        folder_of(load_as(Standing, PLACE | {"BILLING_DATABASE_URL": f"postgresql://x/{name}"})) for name in "ab"
    }
    assert len(folders) == 2
    assert folder_of(load_as(Standing, PLACE | {"BILLING_METRICS_FOLDER": "/run/counts"})) == Path("/run/counts")
