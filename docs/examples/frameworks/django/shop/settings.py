"""The settings of the project."""

from pathlib import Path

BASE_DIR = Path(__file__).parent.parent
SECRET_KEY = "for this example alone; production reads a secret of its own"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "shop.urls"
ASGI_APPLICATION = "shop.asgi.application"
INSTALLED_APPS = [
    "daphne",  # first, so that runserver serves ASGI
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "channels",
    "shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "linqi.django.LinqiMiddleware",  # after AuthenticationMiddleware, if the project has it
]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "linqi.django.ScopeBackend",  # permissions by scopes
]
LINQI = {"PERMISSIONS": {"shop.view_order": "orders:read"}}
