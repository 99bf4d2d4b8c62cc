"""The views: plain and async ones, by scopes, by Django's permissions, and for administrators."""

import json
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.views.decorators.http import require_http_methods

from linqi.django import current, current_or_none, optional, public, requires
from linqi.errors import InvalidCursor
from shop.guard import sessions


@dataclass
class Claims:
    """The claims of the application, typed."""

    role: str


@public
def health(request):
    """Answer anyone."""
    return JsonResponse({"ok": True})


@optional
async def hello(request):
    """Greet the caller, if there is one."""
    caller = current_or_none(request)
    return HttpResponse(f"Hello, {caller.identity if caller else 'stranger'}")


@login_required
def me(request):
    """Answer with the Django user's name, and the role that the token states."""
    role = current(request).read(Claims).role
    return JsonResponse({"user": request.user.username, "role": role})


@requires("orders:read")
async def orders(request):
    """List what a customer ordered."""
    return JsonResponse([{"id": 1}], safe=False)


@permission_required("shop.view_order", raise_exception=True)
def order(request, pk):
    """Show an order to those whose token has the scope of the permission."""
    return JsonResponse({"id": pk})


@require_http_methods(["PUT"])
async def change_password(request):
    """Change the caller's password: all other sessions of the caller end."""
    user = await request.auser()
    user.set_password(json.loads(request.body)["password"])
    await user.asave()
    caller = current(request)
    await sessions.password_changed(caller.identity, keep=caller.session_id)
    return HttpResponse(status=204)


@require_http_methods(["PATCH", "DELETE"])
@requires("admin")
async def account(request, pk):
    """Change an account's role, which takes effect at once, or disable it, which ends sessions."""
    user = await get_user_model().objects.aget(pk=pk)
    if request.method == "PATCH":
        user.is_staff = json.loads(request.body)["role"] == "staff"
        await user.asave()
        await sessions.refresh_claims(str(pk))
    else:
        user.is_active = False
        await user.asave()
        await sessions.account_disabled(str(pk))
    return HttpResponse(status=204)


@requires("admin")
async def account_sessions(request, pk):
    """List the sessions of an account, a page at a time."""
    try:
        page = await sessions.page(str(pk), limit=20, cursor=request.GET.get("cursor", ""))
    except InvalidCursor:
        return HttpResponseBadRequest("the cursor is not one of ours")
    rows = [{"id": row.session_id, "device": row.device} for row in page.sessions]
    return JsonResponse({"sessions": rows, "cursor": page.cursor})


@require_http_methods(["DELETE"])
@requires("admin")
async def account_session(request, pk, session_id):
    """End one session of an account."""
    await sessions.revoke(session_id, user=str(pk))
    return HttpResponse(status=204)
