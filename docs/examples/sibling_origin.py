"""A single-page app at https://app.shop.example whose API is at https://api.shop.example."""

from dual_tokens import api, authenticate, sessions, verifier
from starlette.middleware.cors import CORSMiddleware

from linqi import JWTMiddleware, SessionRoutes

PAGES = ["https://app.shop.example"]  # exactly as browsers send it, without a final slash

routes = SessionRoutes(api, sessions, verifier, authenticate, origins=PAGES)
guarded = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])
app = CORSMiddleware(  # outside, so that refusals and session routes are readable as well
    guarded,
    allow_origins=PAGES,
    allow_credentials=True,
    allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
    allow_headers=["Authorization", "Content-Type", "X-Token-Delivery"],
    expose_headers=["Date", "Retry-After", "WWW-Authenticate", "X-Refresh-Token"],
)
