"""Django with dj-stripe, asked the way its own documentation tells: does this customer have any active subscription?

Production settings: no debugging, connections kept; with the middleware that Django gives every new project.
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

_DJANGOS = ("contenttypes", "auth", "sessions", "messages")

settings.configure(
    DEBUG=False,
    SECRET_KEY="bench" * 10,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    LOGGING_CONFIG=None,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[*(f"django.contrib.{app}" for app in _DJANGOS), "djstripe"],
    MIGRATION_MODULES=dict.fromkeys((*_DJANGOS, "djstripe")),
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
    return JsonResponse({"active": active})


def ping(_: HttpRequest) -> JsonResponse:
    """Django alone: a view with nothing behind it."""
    return JsonResponse({"active": True})


urlpatterns = [path("customers/<int:number>", customer), path("ping", ping)]


def application(environ: dict[str, object], start_response: object) -> object:
    """WSGI; made when first asked."""
    return _wsgi(environ, start_response)


_wsgi = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
    connection.close()
