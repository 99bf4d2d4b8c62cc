"""The ASGI application: ``uvicorn shop.asgi:application``."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django_application = get_asgi_application()  # before the imports that need a configured project

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from linqi.django import protect  # noqa: E402
from linqi.django.channels import UserMiddleware  # noqa: E402
from shop.consumers import Chat  # noqa: E402
from shop.guard import authenticate, components  # noqa: E402

application = protect(
    ProtocolTypeRouter(
        {
            "http": django_application,
            "websocket": UserMiddleware(URLRouter([path("ws", Chat.as_asgi())])),
        }
    ),
    components,
    authenticate=authenticate,
)
