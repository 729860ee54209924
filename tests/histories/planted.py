"""Defects planted on purpose, each of which the generated histories must catch: `python -m tests.histories.planted`.

Each is put into a copy of the tree, which then lives through its first histories; one that survives fails the run. The
last column says who spoke when this was last run: an invariant (`billing/invariants`), the reducer, or Stripe's books.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("billing", "webhooks", "entitlements", "tests", "pyproject.toml")
TEST = "tests/histories/test_generated.py"


class Defect(NamedTuple):
    """What is wrong, where, how it is put there, and who catches it."""

    name: str
    file: str
    right: str
    wrong: str
    caught_by: str

    @property
    def shows(self) -> str:
        """The number of a requirement or invariant that one of the complaints begins with."""
        found = re.search(r"\b[IR]\d+\b", self.caught_by)
        return found[0] if found else ""


DEFECTS = (
    Defect(
        "double grant",
        "billing/subscriptions/service.py",
        "    await desk.add_grant(\n        session, pupil=row.pupil,",
        "    for _ in range(2): await desk.add_grant(\n        session, pupil=row.pupil,",
        "I05 a right in force whose grant says otherwise",
    ),
    Defect(
        "refund twice",
        "billing/withdrawals/tasks.py",
        "    return await calls.make_refund(database, gateway, intent.id, at)\n",
        "    made = await calls.make_refund(database, gateway, intent.id, at)\n"
        "    await gateway.refund(__import__('msgspec').convert({**intent.request, 'key': intent.key + 'b'},"
        " __import__('billing.payments.facts', fromlist=['x']).OpenRefund))\n"
        "    return made\n",
        "Stripe's books, and the reducer: I10, I12",
    ),
    Defect(
        "a right after its withdrawal",
        "billing/checkout/rules.py",
        "    if is_withdrawn:\n",
        "    if False:\n",
        "the reducer: R57",
    ),
    Defect(
        "a right that is over goes on",
        "billing/subscriptions/service.py",
        "    await desk.end_grants(session, subscription_id(row), at, reason)\n",
        "",
        "I04 a right that is over and still gives; the reducer: R78",
    ),
    Defect(
        "unpaid counted as paid",
        "billing/checkout/fulfilment.py",
        "        return await _unpaid(session, order, at, has_failed=facts.payment_failed)\n",
        "        for pupil in order.pupils:\n"
        "            await subscriptions.begin_pass(session, Pass(pupil=pupil, account=order.account or '',"
        " product=order.product, features=tuple(order.features), since=at, until=order.until,"
        " order=order_id(order)), at)\n"
        "        return await _unpaid(session, order, at, has_failed=facts.payment_failed)\n",
        "I03 a right without money; the reducer: I03",
    ),
    Defect(
        "a refund's failure is lost",
        "billing/withdrawals/service.py",
        "    elif refund.state in FINAL:\n        await has_failed(session, refund, at)\n",
        "",
        "the reducer: R75",
    ),
    Defect(
        "the ledger is off by one",
        "billing/ledger/rules.py",
        'return (Line("stripe_clearing", gross), Line("vat_output", -vat), Line("deferred_revenue", -(gross - vat)))',
        'return (Line("stripe_clearing", gross - 1), Line("vat_output", -vat),'
        ' Line("deferred_revenue", -(gross - 1 - vat)))',
        "I10 Stripe's books, and an order whose money in is not money out and kept",
    ),
    Defect(
        "another child's right",
        "billing/checkout/fulfilment.py",
        "            pupil=pupil,\n",
        "            pupil=pupil[:-1] + '7',\n",
        "the reducer: R1",
    ),
    Defect(
        "a duplicate's money is kept",
        "billing/checkout/fulfilment.py",
        "    if owed:\n",
        "    if owed and fate != 'fulfil':\n",
        "I12 money that is neither right, refund nor case; the reducer: I12",
    ),
    Defect(
        "a key that is not its intent's",
        "billing/payments/service.py",
        'f"{kind}-{target}-{attempt}"',
        'f"{kind}-{target}-{new_id(at)}"',
        "I14 a call whose key is not its intent's",
    ),
    Defect(
        "a move without its line",
        "billing/checkout/service.py",
        '    audit.record(session, at, "order.moved", order_id(row), account=row.account, before=before, after=to)\n',
        "",
        "I17 an order whose state the audit trail does not tell",
    ),
    Defect(
        "an erased person stays on what was bought",
        "billing/privacy/service.py",
        "    await subscriptions.forget_buyer(session, account, at)\n",
        "",
        "I30 an erased person whose name stands somewhere",
    ),
)


def survives(defect: Defect, histories: int, *, verbose: bool) -> bool:
    """Whether a tree with the defect lives through its first histories without a complaint."""
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        for part in PARTS:
            source, target = ROOT / part, Path(folder) / part
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        file = Path(folder) / defect.file
        text = file.read_text(encoding="utf-8")
        if text.count(defect.right) < 1:
            raise SystemExit(f"{defect.name}: {defect.file} has changed; plant it anew")
        file.write_text(text.replace(defect.right, defect.wrong, 1), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", TEST]
        ran = subprocess.run(
            [*command, "-k", "first", "--histories", str(histories)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode not in {0, 1}:
            raise SystemExit(f"{defect.name}: the tree does not run with it; plant it anew\n{ran.stdout[-2000:]}")
        if verbose:
            sys.stdout.write("\n".join(line for line in ran.stdout.splitlines() if line.startswith("E"))[:3000] + "\n")
        return ran.returncode == 0


def main(wanted: list[str]) -> int:
    """How many survived."""
    alive = 0
    for defect in DEFECTS:
        if wanted and defect.name not in wanted:
            continue
        # Most show within the first histories; some need the one in fifteen whose bank gives nothing back.
        is_alive = survives(defect, 40, verbose=bool(wanted)) and survives(defect, 150, verbose=bool(wanted))
        alive += is_alive
        sys.stdout.write(f"{'SURVIVED' if is_alive else 'caught  '}  {defect.name}\n")
        sys.stdout.flush()
    return alive


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
