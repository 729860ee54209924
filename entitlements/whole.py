"""One account's whole answer, for whoever wants to send it plain or signed."""

from datetime import datetime

from entitlements import answers
from entitlements.answers import PupilAnswer, Sealed
from entitlements.decision import decide_all, earliest_change
from entitlements.facts import PupilFacts, UnknownAccount
from entitlements.features import FeatureList
from entitlements.questions import Question
from entitlements.reader import FactsReader


async def whole(
    facts: FactsReader, features: FeatureList, question: Question, then: datetime, at: datetime
) -> tuple[Sealed, datetime | None]:
    """A decision for each add-on and pupil as of `then`, asked at `at`, and the earliest instant at which one changes
    (None: never). Raises UnknownAccount, and Unavailable while the store is."""
    pupils = tuple(
        PupilAnswer(each.pupil, decide_all(features, each, question.channel, then, at))
        for each in await _pupils_asked_about(facts, question)
    )
    changes_at = earliest_change(decision for pupil in pupils for decision in pupil.features)
    told = answers.all_of(question.account, question.channel, pupils, features.basic, changes_at, then, at)
    return told, changes_at


async def _pupils_asked_about(facts: FactsReader, question: Question) -> tuple[PupilFacts, ...]:
    if question.channel == "web" and question.pupil is not None:
        return (PupilFacts(question.pupil),)
    known = await facts.account(question.account)
    if known is None:
        raise UnknownAccount(question.account)
    return known.pupils if question.pupil is None else (known.of(question.pupil),)
