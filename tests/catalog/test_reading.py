from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.reading import read
from billing.catalog.service import SAMPLE, load
from billing.catalog.values import BadCatalogue
from tests.catalog.samples import text

SECOND_WINDOW = """
[[products.prices]]
season = "2026/27"
gross = {gross}
valid_from = {since}
valid_until = {until}
reduced = {reduced}

[[products.prices]]
season = "2027/28"
"""


def faults(toml: str) -> list[str]:
    with pytest.raises(BadCatalogue) as refusal:
        read(toml)
    return refusal.value.lines


def with_window(gross: int, since: str, until: str, *, reduced: bool) -> str:
    window = SECOND_WINDOW.format(gross=gross, since=since, until=until, reduced=str(reduced).lower())
    return text(**{'\n[[products.prices]]\nseason = "2027/28"\n': window})


def test_the_shipped_catalogue_is_sound() -> None:
    assert load().product("mobile-addons-season").enabled
    assert load(SAMPLE) == load()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("gross = 4499\nvat_rate_percent = 23\nvalid_from = 2026", "gross = 150\nvalid_from = 2026", "R50"),
        ('pl = "Zamawiam i płacę"', 'pl = "Aktywuj"', "R40"),
        ('pl = "Zamawiam i płacę"', 'pl = "Zamawiam"', "R40"),
        ('methods = ["card"]', 'methods = ["card", "p24"]', "R52"),
        ('statement_text = "MOBILNE DODATKI"', 'statement_text = "MOBILNE DODATKI 2026/27"', "R59"),
        ('statement_text = "MOBILNE DODATKI"', 'statement_text = "MOBILNE *DODATKI"', "R59"),
        ('nip = "1111111111"', 'nip = "1111111112"', "nip"),
        ("length_days = 30", "length_days = 30\ncommon_end = 2026-12-01", "exactly one"),
        ("length_days = 30 ", "", "exactly one"),
        ("length_days = 30", "length_days = 5", "shorter"),
        ("send_hours = [8, 20]", "send_hours = [20, 8]", "send_hours"),
        ('ends = "06-30"', 'ends = "02-30"', "every year"),
        ('sales_close = "05-31"', 'sales_close = "07-31"', "later in the year"),
        ('interval = "month"', "", "interval"),
        ('season = "2026/27"', 'season = "2026/28"', "two years"),
        ("valid_until = 2027-06-01", "valid_until = 2026-06-01", "later than"),
        ('kind = "season_pass"', 'kind = "season_pass"\nenabled = false', "nothing is on sale"),
        ('key = "absences"', 'key = "grades"', "twice"),
        ('key = "mobile-addons-monthly"', 'key = "mobile-addons-season"', "twice"),
        ('"homework"]\nmethods = ["blik"', '"homework", "grades"]\nmethods = ["blik"', "no add-on"),
        ('methods = ["blik", "p24", "card"]', "methods = []", "nobody could pay"),
        ('methods = ["blik", "p24", "card"]', 'methods = ["paypal"]', "Invalid enum"),
        ('refund_policy = "full"', 'refund_policy = "none"', "Invalid enum"),
        ('version = "2026-11-sample"', 'version = "2026-11-sample"\nprice = 4499', "no such field"),
        ("link_days = 14", "link_days = 0", "link_days"),
        ("withdrawal_days = 14", "withdrawal_days = 10", "withdrawal_days"),
    ],
)
def test_a_file_with_one_thing_wrong_is_refused(old: str, new: str, told: str) -> None:
    words = {
        "R50": "less than can be paid",
        "R40": "order.button.pl",
        "R52": "p24 cannot be charged again",
        "R59": "order.statement_text",
    }.get(told, told)
    assert any(words in line for line in faults(text(**{old: new})))


def test_all_faults_are_told_at_once_with_their_place() -> None:
    broken = text(
        **{
            'pl = "Zamawiam i płacę"': 'pl = "Dalej"',
            'nip = "1111111111"': 'nip = "1"',
            'methods = ["card"]': 'methods = ["p24"]',
            "link_days = 14": "link_days = 14",
        }
    )
    assert len(faults(broken)) == 3
    misshapen = text(**{"gross = 4499": 'gross = "44.99"', 'key = "grades"': "key = 7", 'name = "Prz': 'nam = "Prz'})
    assert sorted(line.partition(":")[0] for line in faults(misshapen)) == [
        "features[0].key",
        "products[0].prices[0].gross",
        "products[0].prices[1].gross",
        "seller.nam",
        "seller.name",
    ]


def test_a_catalogue_without_any_price_is_refused() -> None:
    sample = SAMPLE.read_text(encoding="utf-8")
    start = sample.index("# A price holds from")
    bare = sample[:start] + "prices = []\n" + sample[sample.index('[[products]]\nkey = "mobile-addons-monthly"') :]
    assert any("without a price" in line for line in faults(bare))
    assert any("nothing is on sale" in line for line in faults(bare))


def test_r50_nothing_is_a_price_too() -> None:
    assert read(text(**{"gross = 4499": "gross = 0"})).products[0].prices[0].gross == 0


def test_two_prices_for_one_day_are_refused_but_a_reduction_may_lie_over_the_plain_price() -> None:
    assert any(
        "hold from 2027-01-01" in line for line in faults(with_window(3999, "2027-01-01", "2027-02-01", reduced=False))
    )
    assert read(with_window(3999, "2027-01-01", "2027-02-01", reduced=True))


@pytest.mark.parametrize(("gross", "since"), [(4499, "2027-01-01"), (4999, "2027-01-01"), (3999, "2026-06-01")])
def test_r83_a_reduction_must_reduce_a_price_that_was_there(gross: int, since: str) -> None:
    assert any("reduc" in line for line in faults(with_window(gross, since, "2027-02-01", reduced=True)))


def test_a_file_that_is_not_there_not_text_or_not_toml_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "not.toml").write_text("version =", encoding="utf-8")
    for name in ("none.toml", "bytes.toml", "not.toml"):
        with pytest.raises(BadCatalogue):
            load(tmp_path / name)


@given(st.text(max_size=200))
def test_whatever_is_in_the_file_is_read_or_refused_with_lines(anything: str) -> None:
    with pytest.raises(BadCatalogue) as refusal:
        read(anything)
    assert refusal.value.lines


@given(st.data())
def test_a_sample_with_one_line_lost_or_spoilt_never_fails_otherwise(data: st.DataObject) -> None:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(st.sampled_from(["", lines[number] + " x", lines[number].replace("=", "= -"), "[x]"]))
    try:
        read("\n".join(lines))
    except BadCatalogue as refusal:
        assert refusal.lines  # noqa: PT017 - a sound file is as good an outcome
