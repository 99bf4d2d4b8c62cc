"""Notes as an MCP server with its own sign-in: nothing else has to run."""

from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from pydantic import AnyHttpUrl
from sign_in import SCOPES, SignIn
from starlette.routing import Route

from linqi.config import build, load
from linqi.mcp import ToolScopes, current, protect

NOTES = {}  # your database
server = MCPServer("notes")
tools = ToolScopes()


@server.tool()
@tools.requires("notes:read")
def list_notes() -> list[str]:
    """Return the notes of the caller."""
    return NOTES.get(current().subject, [])


@server.tool()
@tools.requires("notes:write")
def add_note(text: str) -> str:
    """Add a note of the caller."""
    NOTES.setdefault(current().subject, []).append(text)
    return f"kept for {current().subject}"


config = load("linqi.toml")
parts = build(config)
sign_in = SignIn(parts.sessions, config.verify.issuer, config.resource.url)
app = server.streamable_http_app()
app.routes.extend(
    [
        *create_auth_routes(
            sign_in,
            AnyHttpUrl(config.verify.issuer),
            client_registration_options=ClientRegistrationOptions(
                enabled=True, valid_scopes=SCOPES, default_scopes=SCOPES[:1]
            ),
        ),
        Route("/login", sign_in.login, methods=["GET", "POST"]),
    ]
)
app = protect(app, parts, tools=tools)
