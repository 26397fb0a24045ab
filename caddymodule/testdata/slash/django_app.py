"""An API as Django's documentation writes them, with slashes, in one file."""

import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.servers.basehttp import WSGIRequestHandler
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    ROOT_URLCONF=__name__,
    SECRET_KEY="for a test alone",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    LOGGING_CONFIG=None,
)


@csrf_exempt
def items(request, item_id=0):
    return JsonResponse({"made": True} if request.method == "POST" else {"id": item_id})


urlpatterns = [path("items/", items), path("items/<int:item_id>/", items)]

if __name__ == "__main__":
    WSGIRequestHandler.disable_nagle_algorithm = True
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", "127.0.0.1:" + sys.argv[1]])
