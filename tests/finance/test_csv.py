"""The CSV opens right in Polish Excel, and no field of it starts a formula (R116, S57, S58)."""

import csv
import io
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.finance.csv_text import BOM, Grosz, cell_text, file_name, guarded, lines

DANGEROUS = "=+-@\t\r＝＋－＠"
TRICKY = st.text(st.sampled_from(list("=+-@\t\r\n\0;,\"' aŁ1")) | st.characters(exclude_categories=["Cs"]))


def test_the_bytes_are_those_that_polish_excel_reads() -> None:
    at = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    rows = [["Kwota", "Uczeń"], [Grosz(4499), "Łódź; „a”"], [Grosz(-5), 'powiedział "tak"'], [at, date(2026, 7, 1)]]
    golden = '\ufeffKwota;Uczeń\r\n44,99;"Łódź; „a”"\r\n-0,05;"powiedział ""tak"""\r\n2026-12-01;2026-07-01\r\n'
    assert (BOM + lines(rows)).encode() == golden.encode()
    assert golden.encode().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+48 600", "'+48 600"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r'=1"),
        ("\0=1", "'=1"),
        ('"=1', "'\"'=1"),
        ("  =1", "'  =1"),
        ("a;=1", "a;'=1"),
        ("＝1", "'＝1"),
        ("anna+1@example.pl", "anna+1@example.pl"),
        ("2026-09-01", "2026-09-01"),
        ("", ""),
    ],
)
def test_a_formula_becomes_text_and_other_text_stays(text: str, cell: str) -> None:
    assert guarded(text) == cell


def test_numbers_stay_numbers() -> None:
    assert [cell_text(cell) for cell in (Grosz(0), Grosz(-123456), 7, -7, None)] == ["0,00", "-1234,56", "7", "-7", ""]


@given(st.lists(st.lists(TRICKY, min_size=2), min_size=1))
def test_no_cell_starts_a_formula_and_every_cell_comes_back(rows: list[list[str]]) -> None:
    text = lines(rows)
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    assert read == [[guarded(cell) for cell in row] for row in rows]
    for row in read:
        for cell in row:
            assert not cell.startswith(tuple(DANGEROUS))
            assert "\0" not in cell
            for part in cell.replace("\n", ";").replace("\r", ";").replace('"', ";").split(";"):
                assert not part.startswith(tuple(DANGEROUS))


def test_the_file_name_is_ours_and_breaks_out_of_nothing() -> None:
    assert file_name("dodatki-mobilne", date(2026, 9, 1)) == 'attachment; filename="dodatki-mobilne-2026-09-01.csv"'
