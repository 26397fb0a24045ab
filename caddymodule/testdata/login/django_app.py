"""An API with a log-in of its own: Django REST framework with simplejwt."""

import os
import sys

import django
from django.conf import settings
from django.urls import path

settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="for tests",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "rest_framework_simplejwt"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[2]}},
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]},
    SIMPLE_JWT={"SIGNING_KEY": os.environ["JWT_SECRET"], "USER_ID_CLAIM": "sub"},
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from rest_framework.decorators import api_view, permission_classes  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView  # noqa: E402

call_command("migrate", verbosity=0)
User.objects.create_user("u1", password="right")


@api_view(["GET"])
@permission_classes([IsAuthenticated])
def me(request):
    return Response({"id": request.user.username})


@api_view(["GET"])
@permission_classes([])
def items(request):
    return Response([])


urlpatterns = [
    path("v1/auth/login-json", TokenObtainPairView.as_view()),
    path("v1/auth/refresh", TokenRefreshView.as_view()),
    path("v1/auth/me", me),
    path("v1/items", items),
]

call_command("runserver", "127.0.0.1:" + sys.argv[1], use_reloader=False)
