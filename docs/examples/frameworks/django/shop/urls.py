"""The paths."""

from django.urls import path

from shop import views

urlpatterns = [
    path("health", views.health),
    path("hello", views.hello),
    path("me", views.me),
    path("me/password", views.change_password),
    path("orders", views.orders),
    path("orders/<int:pk>", views.order),
    path("accounts/<int:pk>", views.account),
    path("accounts/<int:pk>/sessions", views.account_sessions),
    path("accounts/<int:pk>/sessions/<str:session_id>", views.account_session),
]
