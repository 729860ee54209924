"""What the staff's pages say: Polish first, English on request. A word that is missing is a KeyError, never a blank."""

from typing import Final, Literal

from billing.finance.words_acts import ACT_WORDS, CASE_CODES, DONE, REFUSALS
from billing.finance.words_codes import CODES
from billing.finance.words_history import ACTIONS, FACTS, LEDGER, LETTERS

Tongue = Literal["pl", "en"]
TONGUES: Final[dict[Tongue, str]] = {"pl": "Polski", "en": "English"}

# Each key in Polish, then in English.
WORDS: Final[dict[str, tuple[str, str]]] = {
    "room": ("Finanse", "Finance"),
    "brand": ("Mobilne dodatki – finanse", "Mobile add-ons – finance"),
    "skip": ("Przejdź do treści", "Skip to the content"),
    "language": ("Język", "Language"),
    "navigation": ("Działy", "Sections"),
    "nav_list": ("Wykaz", "List"),
    "nav_tasks": ("Do załatwienia", "To do"),
    "nav_letters": ("Listy", "Letters"),
    "nav_events": ("Zdarzenia Stripe", "Stripe events"),
    "nav_audit": ("Dziennik", "Audit log"),
    "log_out": ("Wyloguj", "Log out"),
    "logged_in_as": ("Zalogowano jako", "Logged in as"),
    "list_title": ("Okresy próbne, dostępy i zamówienia", "Trials, passes and orders"),
    "search": ("Szukaj", "Search"),
    "search_hint": (
        "Identyfikator (trl_, ord_, sub_, lnk_, ref_, ntc_), numer Stripe, numer zamówienia, e-mail, konto lub uczeń",
        "An id (trl_, ord_, sub_, lnk_, ref_, ntc_), a Stripe id, an order number, e-mail, account or pupil",
    ),
    "filters": ("Filtry", "Filters"),
    "kind": ("Rodzaj", "Kind"),
    "state": ("Stan", "State"),
    "from": ("Od dnia", "From day"),
    "to": ("Do dnia", "To day"),
    "season": ("Sezon", "Season"),
    "need": ("Wymaga uwagi", "Needs attention"),
    "size": ("Wierszy na stronie", "Rows per page"),
    "any": ("wszystkie", "any"),
    "show": ("Pokaż", "Show"),
    "clear": ("Wyczyść filtry", "Clear the filters"),
    "export": ("Pobierz CSV", "Download CSV"),
    "export_hint": ("wszystkie wiersze po filtrach", "all filtered rows"),
    "totals": ("Razem po filtrach", "Totals of the filtered rows"),
    "rows": ("Wierszy", "Rows"),
    "total_trials": ("Okresy próbne", "Trials"),
    "total_passes": ("Dostępy", "Passes"),
    "total_orders": ("Zamówienia", "Orders"),
    "total_taken": ("Opłacone brutto", "Paid, gross"),
    "total_back": ("Zwrócone", "Refunded"),
    "total_net": ("Zostaje", "Kept"),
    "totals_hint": (
        "Opłacone brutto: suma zamówień w stanie „opłacone” razem z VAT. Zwrócone: ile z nich oddaliśmy.",
        "Paid, gross: the sum of orders in the state “paid”, with VAT. Refunded: how much of it went back.",
    ),
    "accounts_found": ("Znalezione konta", "Accounts found"),
    "nothing": ("Nic tu nie ma.", "There is nothing here."),
    "nothing_waits": ("Nic nie czeka.", "Nothing waits."),
    "newer": ("Od początku", "From the top"),
    "older": ("Starsze", "Older"),
    "pages": ("Strony wykazu", "Pages of the list"),
    "made_on": ("Utworzono", "Made on"),
    "account": ("Konto", "Account"),
    "pupil": ("Uczeń", "Pupil"),
    "pupils": ("Uczniowie", "Pupils"),
    "amount": ("Kwota", "Amount"),
    "first_day": ("Pierwszy dzień", "First day"),
    "last_day": ("Ostatni dzień", "Last day"),
    "id": ("Identyfikator", "Id"),
    "number": ("Numer", "Number"),
    "attention": ("Uwagi", "Attention"),
    "warsaw": ("czas warszawski", "Warsaw time"),
    "account_title": ("Konto", "Account"),
    "who": ("Kto", "Who"),
    "email": ("E-mail", "E-mail"),
    "guardian_email": ("E-mail opiekuna", "Guardian's e-mail"),
    "status": ("Status", "Status"),
    "age_band": ("Wiek", "Age"),
    "locale": ("Język", "Language"),
    "registered": ("Zarejestrowano", "Registered"),
    "bounced": ("Poczta nie dochodzi od", "Mail bounces since"),
    "erased": (
        "Danych tego konta już nie ma. Zostały tylko wpisy, które trzeba przechować.",
        "This account's data is gone. Only what the law keeps remains.",
    ),
    "rights": ("Uczniowie i uprawnienia", "Pupils and rights"),
    "school": ("Szkoła", "School"),
    "feature": ("Dodatek", "Add-on"),
    "answer": ("Odpowiedź", "Answer"),
    "reason": ("Powód", "Reason"),
    "sources": ("Źródła", "Sources"),
    "next_change": ("Następna zmiana", "Next change"),
    "blocks": ("Blokady szkoły", "School's blocks"),
    "yes": ("tak", "yes"),
    "no": ("nie", "no"),
    "never": ("nie zmieni się samo", "does not change by itself"),
    "no_end": ("bez końca", "no end"),
    "blocked_since": ("blokada od", "blocked since"),
    "notice_pending": ("aplikacja ma pokazać powiadomienie", "the app is to show a notice"),
    "no_pupils": ("Żaden uczeń nie jest połączony z tym kontem.", "No pupil is linked to this account."),
    "ahead_hint": (
        "Miesiące przed nami pokazujemy tak, jak wyjdą, jeśli nic nie dojdzie i nic nie zostanie zwrócone.",
        "The months ahead are shown as they come out if nothing is sold or given back any more.",
    ),
    "trace_hint": (
        "Tak odpowiada w tej chwili aplikacji mobilnej ten sam silnik, z tych samych danych.",
        "This is what the same engine answers the mobile app at this moment, from the same facts.",
    ),
    "timeline": ("Historia, od najnowszych", "History, newest first"),
    "area": ("Dział", "Area"),
    "when": ("Kiedy", "When"),
    "what": ("Co", "What"),
    "about": ("Czego dotyczy", "About"),
    "detail": ("Szczegóły", "Details"),
    "order_title": ("Zamówienie", "Order"),
    "order_facts": ("Co kupiono", "What was bought"),
    "product": ("Produkt", "Product"),
    "features": ("Dodatki", "Add-ons"),
    "unit_price": ("Cena za ucznia", "Price per pupil"),
    "vat": ("w tym VAT", "VAT included"),
    "total": ("Razem", "Total"),
    "paid_at": ("Opłacono", "Paid"),
    "terms": ("Regulamin", "Terms"),
    "given": ("zaznaczono", "ticked"),
    "not_given": ("nie zaznaczono", "not ticked"),
    "payments": ("Wpłaty", "Payments"),
    "refunds": ("Zwroty", "Refunds"),
    "method": ("Sposób", "Method"),
    "payment_id": ("Płatność w Stripe", "Payment at Stripe"),
    "refunded": ("Zwrócono", "Refunded"),
    "approved_by": ("Zatwierdził", "Approved by"),
    "ledger": ("Księga", "Ledger"),
    "ledger_account": ("Konto księgowe", "Ledger account"),
    "cause": ("Tytuł", "Cause"),
    "booked_on": ("Dzień księgowania", "Booked on"),
    "sum": ("Suma", "Sum"),
    "calls": ("Wywołania Stripe", "Calls to Stripe"),
    "attempt": ("Próba", "Attempt"),
    "answer_id": ("Odpowiedź", "Answer"),
    "passes": ("Uprawnienia z zamówienia", "Rights of the order"),
    "letters_title": ("Listy, które nie doszły", "Letters that did not arrive"),
    "letter_title": ("List", "Letter"),
    "letter_text": ("Wersja tekstowa", "Plain text"),
    "letter_html": ("Tak wyglądał list", "What the letter looked like"),
    "letter_unsent": ("Tego listu jeszcze nie wysłano.", "This letter has not been sent."),
    "letter_secret": (
        "Odnośniki w liście przechowujemy bez ich tajnej części.",
        "The letter's links are kept without their secret part.",
    ),
    "subject": ("Temat", "Subject"),
    "tries": ("Prób", "Tries"),
    "fault": ("Przyczyna", "Fault"),
    "handed_over": ("Przekazano", "Handed over"),
    "server_answer": ("Odpowiedź serwera", "Server's answer"),
    "attachments": ("Załączniki", "Attachments"),
    "events_title": ("Zdarzenia Stripe", "Stripe events"),
    "events_hint": ("Najpierw te, które czekają na ludzi.", "Those that wait for people come first."),
    "event": ("Zdarzenie", "Event"),
    "object": ("Obiekt", "Object"),
    "note": ("Wynik", "Outcome"),
    "tasks_title": ("Do załatwienia", "To do"),
    "task_trials": ("Okresy próbne, o których końcu nie udało się powiadomić", "Trials whose end could not be told"),
    "task_refunds": ("Zwroty, które się nie udały", "Refunds that failed"),
    "task_intents": ("Wywołania Stripe o nieznanym wyniku", "Calls to Stripe with an unknown outcome"),
    "task_letters": ("Listy odłożone po zbyt wielu próbach", "Letters parked after too many tries"),
    "task_messages": ("Zadania wewnętrzne odłożone", "Internal messages parked"),
    "task_events": ("Zdarzenia Stripe odłożone", "Stripe events parked"),
    "since": ("Od", "Since"),
    "audit_title": ("Dziennik czynności", "Audit log"),
    "actor": ("Kto", "Who"),
    "action": ("Czynność", "Act"),
    "change": ("Zmiana", "Change"),
    "facts": ("Dane", "Facts"),
    "goodbye": ("Wylogowano", "You are logged out"),
    "log_in_again": ("Zaloguj się", "Log in"),
    "login_failed": ("Logowanie się nie powiodło", "The log-in failed"),
    "login_failed_hint": (
        "Odpowiedź serwera logowania nie pasuje do tej przeglądarki albo przyszła za późno. Spróbuj jeszcze raz.",
        "The log-in server's answer does not belong to this browser, or came too late. Please try again.",
    ),
    "no_role": ("Brak uprawnień", "No access"),
    "no_role_hint": (
        "Zalogowano, ale to konto nie ma żadnej roli w finansach. Poproś administratora o nadanie roli.",
        "You are logged in, but this account holds no role in finance. Ask an administrator for one.",
    ),
    "error_403": ("Ta rola nie pozwala na to", "Your role does not allow this"),
    "error_404": ("Nie ma takiej strony", "There is no such page"),
    "error_400": ("Nie rozumiemy adresu", "The address cannot be understood"),
    "error_503": ("Usługa chwilowo nie odpowiada", "A service does not answer right now"),
    "error_other": ("Nie udało się", "That did not work"),
    "back_to_list": ("Wróć do wykazu", "Back to the list"),
}

_SAID: Final = WORDS | ACT_WORDS | DONE
_KNOWN: Final = FACTS | LETTERS | LEDGER | ACTIONS | CASE_CODES | CODES
_CAUSES: Final = LEDGER | {name: CODES[name] for name in ("payment",)}


class Words:
    """One language of the staff's pages."""

    def __init__(self, tongue: Tongue) -> None:
        self.tongue: Final[Tongue] = tongue
        self._column = 0 if tongue == "pl" else 1

    def __call__(self, key: str) -> str:
        """The word of a key; an unknown key is a KeyError."""
        return _SAID[key][self._column]

    def code(self, value: str | None) -> str:
        """What a stored code means; one that has no words yet is shown as it is."""
        if value is None:
            return "–"
        pair = _KNOWN.get(value)
        return self._told(value) if pair is None else pair[self._column]

    def why(self, code: str) -> str:
        """Why an act was refused; what has no words of its own did not fit the state."""
        return REFUSALS.get(code, REFUSALS["conflict"])[self._column]

    def _told(self, value: str) -> str:
        """What is made of several codes: a move (`pending → paid`), a posting's cause (`payment:pi_…`), an outcome."""
        if " → " in value:
            return " → ".join(self.code(each) for each in value.split(" → "))
        name, mark, rest = value.partition(":")
        if mark and name in _CAUSES:
            return f"{_CAUSES[name][self._column]}: {rest}"
        return self.code("changes nothing here") if value.endswith(" changes nothing here") else value
