"""Notes as an MCP server: reading needs a token for this server, writing one more scope."""

from mcp.server.mcpserver import MCPServer

from linqi.mcp import ToolScopes, current, protect

NOTES = {}  # your database

server = MCPServer("notes")
tools = ToolScopes()


@server.tool()
def list_notes() -> list[str]:
    """Return the notes of the caller."""
    return NOTES.get(current().subject, [])


@server.tool()
@tools.requires("notes:write")
def add_note(text: str) -> str:
    """Add a note of the caller."""
    NOTES.setdefault(current().subject, []).append(text)
    return f"kept for {current().subject}"


app = protect(server.streamable_http_app(), "linqi.toml", tools=tools)
