"""Django with dj-stripe, asked the way its own documentation tells: does this customer have any active subscription?

Production settings: no debugging, no middleware, connections kept.
Its schema, straight from its models: `python -m tests.benchmarks.peers.djstripe_app migrate --run-syncdb`.
"""

import os
import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="bench" * 10,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    LOGGING_CONFIG=None,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "djstripe"],
    MIGRATION_MODULES=dict.fromkeys(("contenttypes", "auth", "djstripe")),
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["BENCH_HOST"],
            "NAME": os.environ["BENCH_DATABASE"],
            "USER": "billing",
            "CONN_MAX_AGE": None,
        }
    },
    STRIPE_TEST_SECRET_KEY="sk_test_none",
    STRIPE_LIVE_MODE=False,
    DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
    DJSTRIPE_WEBHOOK_SECRET="whsec_none",
)
django.setup()

from djstripe.models import Customer  # noqa: E402 - models can be loaded only now


def customer(_: HttpRequest, number: int) -> JsonResponse:
    """One question."""
    active = Customer.objects.get(id=f"cus_{number}").has_any_active_subscription()
    return _json({"active": active})


def _json(told: dict[str, bool]) -> JsonResponse:
    answer = JsonResponse(told)
    answer["Content-Length"] = str(len(answer.content))  # or the answer is sent in chunks, for want of a middleware
    return answer


def ping(_: HttpRequest) -> JsonResponse:
    """Django alone: a view with nothing behind it."""
    return _json({"active": True})


urlpatterns = [path("customers/<int:number>", customer), path("ping", ping)]


def application(environ: dict[str, object], start_response: object) -> object:
    """WSGI; made when first asked."""
    return _wsgi(environ, start_response)


_wsgi = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
    connection.close()
