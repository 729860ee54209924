"""The link in the mail: it may be forwarded, scanned, clicked twice and come too late, and nothing bad happens."""

import concurrent.futures
import re

import pytest

from tests.family import DAY, MINUTE, WARSAW, instant, midnight, morning, plain
from tests.hand import Hand

pytestmark = pytest.mark.slow


def test_a_forwarded_link_shows_nobodys_data_and_may_be_paid_by_a_grandparent(hand: Hand) -> None:
    """R36, R37: no child, school, parent or address on the page, on the order's page, nor at Stripe."""
    family = hand.family("sekret-rodzica", pupils=2)
    link = hand.new_link(family)
    secrets = (family.account, family.email, family.school, *family.pupils)
    session = hand.to_pay(link)
    order_page = hand.pay_page(session, "p24", "succeeded")
    for page in (link, order_page):
        shown = hand.open(page).text
        assert [secret for secret in secrets if secret in shown] == []
    sent = str(hand.sessions_opened(family))
    assert [secret for secret in secrets if secret in sent] == []
    hand.drain()
    assert hand.allows(family, family.pupils[0]) == (True, "paid")


def test_a_hundred_openings_of_every_mailed_link_change_nothing(hand: Hand) -> None:
    """R33, I27: mail scanners open links with GET, HEAD and OPTIONS; only a button does anything."""
    family = hand.family("skaner")
    unconfirmed = hand.register("skaner-nowy", email_confirmed=False)
    hand.drain()
    bought = hand.family("skaner-kupil")
    hand.pay(hand.to_pay(hand.new_link(bought)))
    hand.drain()
    urls = [
        hand.new_link(family),
        hand.link_in(hand.letter(unconfirmed.email), "/confirm/"),
        hand.link_in(hand.letter(bought.email), "/orders/"),
    ]
    exports = [hand.api("GET", f"/v1/accounts/{who.account}/export") for who in (family, unconfirmed, bought)]
    asked = hand.asked()
    calls = [(url, method) for url in urls for method in ("GET", "HEAD", "OPTIONS") for _ in range(34)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(hand.open, url, method) for url, method in calls]
    assert {answer.result().status_code for answer in answers} <= {200, 204, 405}
    assert hand.asked() == asked
    after = [hand.api("GET", f"/v1/accounts/{who.account}/export") for who in (family, unconfirmed, bought)]
    assert after == exports
    assert hand.api("GET", f"/v1/accounts/{unconfirmed.account}")["status"] == "pending"


def test_two_clicks_lead_to_one_payment_page(hand: Hand) -> None:
    """R34, F39, I11: five at once and one after them: one order, one page, one key; ten rounds, for it is a race."""
    for _ in range(10):
        nela = hand.family("nela")
        link = hand.new_link(nela)
        page = hand.open(link).text
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            clicks = [pool.submit(hand.click, link, page) for _ in range(5)]
        answers = [click.result() for click in clicks]
        assert {answer.status_code for answer in answers} <= {303, 503}
        where = {answer.headers["location"] for answer in answers if answer.status_code == 303}
        where.add(hand.click(link).headers["location"])
        assert len(where) == 1
        assert len(hand.orders(nela)) == 1
        made = [one for one in hand.sessions_opened(nela) if one["status"] == 200]
        assert len({one["idempotency_key"] for one in made}) == 1


def test_a_link_lives_to_the_end_of_its_fourteenth_day(hand: Hand) -> None:
    """R32, R35: still good a minute before midnight; then a page that helps, names nobody, and opens nothing."""
    teo = hand.family("teo")
    made_on = hand.now()
    link = hand.new_link(teo)
    path = f"/v1/accounts/{teo.account}/activation-links"
    told = hand.api("POST", path, {"pupils": teo.pupils}, expect=201)
    ends = midnight(made_on.astimezone(WARSAW).date() + 15 * DAY)
    assert instant(told["expires_at"]) == ends
    page = hand.open(link).text
    hand.to(ends - MINUTE)
    assert hand.open(link).status_code == 200
    hand.to(ends)
    gone = hand.open(link)
    assert gone.status_code == 410
    assert "wygasł" in plain(gone.text)
    assert teo.account not in gone.text
    assert hand.click(link, page).status_code == 410
    assert hand.orders(teo) == []


def test_a_payment_page_that_ran_out_is_replaced_in_the_same_order(hand: Hand) -> None:
    """R34: after 24 hours a new page, the same order, the same price."""
    kaja = hand.family("kaja")
    link = hand.new_link(kaja)
    first = hand.to_pay(link)
    order = hand.orders(kaja)[0]
    hand.advance("PT24H")
    second = hand.to_pay(link)
    assert second != first
    assert [one["id"] for one in hand.orders(kaja)] == [order["id"]]
    assert hand.orders(kaja)[0]["total"] == order["total"]
    assert len({one["idempotency_key"] for one in hand.sessions_opened(kaja)}) == 2
    hand.pay(second)
    hand.drain()
    assert hand.allows(kaja) == (True, "paid")


def test_pages_with_tokens_tell_nobody_where_the_reader_is(hand: Hand) -> None:
    """R31, R38: no referrer, no store, no cookie, nothing from other hosts; tokens of 128 bits and more."""
    lea = hand.family("lea")
    hand.to(morning(lea.day - 10 * DAY) + MINUTE)
    link = hand.link_in(hand.letter(lea.email))
    assert re.fullmatch(r".*/activate/[A-Za-z0-9_-]{22,}", link)
    answer = hand.open(link)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "no-store" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert not re.search(r'(?:src|href|action)="https?://(?!127\.0\.0\.1)', answer.text)
