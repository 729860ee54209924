"""A house in which all that usually happens has happened once."""

from datetime import timedelta

from billing.withdrawals import withdrawing
from tests.services.house import House


async def healthy(house: House) -> None:
    """Anna and jan pay for one child, ewa withdraws, ola's bank argues, p5 is on trial."""
    await house.family("anna", "p1", "p2")
    await house.family("jan", "p1")
    urls = [await house.click(await house.token("anna", "p1", "p2")), await house.click(await house.token("jan", "p1"))]
    for url in urls:
        await house.pay(url)
        await house.settle()
    for account, pupil in (("ewa", "p3"), ("ola", "p4")):
        await house.family(account, pupil)
        await house.buy(account, pupil, method="card")
    terms = withdrawing.terms_of(house.catalogue, house.services.site.secret)
    declared = withdrawing.Declared(name="Ewa", contact="ewa@rodzice.example")
    order = await house.one("select order_id from subscription where pupil = 'p3'")
    async with house.database.begin() as session:
        await withdrawing.withdraw(session, order, declared, terms, house.now)
    order = await house.one("select order_id from subscription where pupil = 'p4'")
    charge = await house.one("select stripe_charge from payment where order_id = :order", order=order)
    await house.world.control(f"charges/{charge}/dispute", {"outcome": "opened"})
    await house.family("ela", "p5")
    await house.advance(house.now + timedelta(hours=1))
