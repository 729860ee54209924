"""Each defect of `planted.py`, put into a copy of the tree, is caught by a handful of histories that are always the
same; the tree as it is lives through them without a word."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from billing.sandbox.postgres import EmbeddedPostgres
from tests.histories.planted import DEFECTS, PARTS, ROOT, Defect

SOUND, CAUGHT = 0, 3


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what runs."""
    folder = tmp_path_factory.mktemp("planted")
    for part in PARTS:
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
    return folder


def told_of(tree: Path, postgres: EmbeddedPostgres, name: str) -> tuple[int, str]:
    """What comes of the histories in this tree."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.histories.telling", str(postgres.socket_folder), name],
        cwd=tree,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, f"{ran.stdout}\n{ran.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_tree_as_it_is_lives_through_the_histories_that_show_defects(
    tree: Path, postgres: EmbeddedPostgres
) -> None:
    code, words = told_of(tree, postgres, "village_sound")
    assert code == SOUND, words


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name.replace(" ", "_"))
def test_a_planted_defect_is_caught_and_by_whom(tree: Path, postgres: EmbeddedPostgres, defect: Defect) -> None:
    file = tree / defect.file
    right = file.read_text(encoding="utf-8")
    assert defect.right in right, f"{defect.file} has changed; plant it anew"
    file.write_text(right.replace(defect.right, defect.wrong, 1), encoding="utf-8")
    try:
        code, words = told_of(tree, postgres, f"village_{DEFECTS.index(defect)}_planted")
    finally:
        file.write_text(right, encoding="utf-8")
    assert code == CAUGHT, f"{defect.name} survived: {words}"
    assert defect.shows in words, words
