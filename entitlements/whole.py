"""One account's whole answer, for whoever wants to send it plain or signed."""

from datetime import datetime

from entitlements import answers
from entitlements.answers import PupilAnswer, Sealed
from entitlements.decision import earliest_change
from entitlements.facts import AccountFacts, Facts, PupilFacts, UnknownAccount
from entitlements.features import FeatureList
from entitlements.judging import judge
from entitlements.questions import Question


async def whole(
    facts: Facts, features: FeatureList, question: Question, then: datetime, at: datetime
) -> tuple[Sealed, datetime | None]:
    """A decision for each add-on and pupil as of `then`, asked at `at`, and the earliest instant at which one changes
    (None: never). Raises UnknownAccount, and Unavailable while the store is."""
    known, asked = await _asked_about(facts, question)
    add_ons = sorted(features.add_ons)
    pupils = tuple(
        PupilAnswer(
            each.pupil,
            tuple(judge(features, known, each, feature, question.channel, then, at) for feature in add_ons),
        )
        for each in asked
    )
    changes_at = earliest_change(decision for pupil in pupils for decision in pupil.features)
    told = answers.all_of(question.account, question.channel, pupils, features.basic, changes_at, then, at)
    return told, changes_at


async def _asked_about(facts: Facts, question: Question) -> tuple[AccountFacts, tuple[PupilFacts, ...]]:
    if question.channel == "web" and question.pupil is not None:
        nobody = AccountFacts(question.account, (PupilFacts(question.pupil),))
        return nobody, nobody.pupils
    known = await facts.account(question.account, strong=question.strong)
    if known is None:
        raise UnknownAccount(question.account)
    return known, known.pupils if question.pupil is None else (known.of(question.pupil),)
