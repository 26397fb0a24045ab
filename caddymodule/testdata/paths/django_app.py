"""The routes of the differential test of paths, with Django, in one file."""

import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.servers.basehttp import WSGIRequestHandler
from django.http import JsonResponse
from django.urls import re_path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    ROOT_URLCONF=__name__,
    SECRET_KEY="for a test alone",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    LOGGING_CONFIG=None,
)

urlpatterns = [
    re_path(r"^healthz$", lambda request: JsonResponse({"route": "healthz"})),
    re_path(r"^search$", lambda request: JsonResponse({"route": "search"})),
    re_path(r"^v1/admin/(.*)$", lambda request, rest: JsonResponse({"route": "admin", "id": rest})),
    re_path(r"^v1/users/([^/]+)", lambda request, user: JsonResponse({"route": "user", "id": user})),
]

if __name__ == "__main__":
    # Header and body leave in two packets: without this each answer takes 40 ms.
    WSGIRequestHandler.disable_nagle_algorithm = True
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", "127.0.0.1:" + sys.argv[1]])
