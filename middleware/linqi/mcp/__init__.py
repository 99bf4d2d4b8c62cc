"""The MCP integration: servers of the Model Context Protocol as protected resources.

```python
tools = ToolScopes()
server = MCPServer("notes")

@server.tool()
@tools.requires("notes:write")
def add_note(text: str) -> str: ...

app = protect(server.streamable_http_app(), "linqi.toml", tools=tools)
```
"""

from typing import TYPE_CHECKING

from linqi._on_demand import on_demand

if TYPE_CHECKING:
    from linqi.mcp.callers import current
    from linqi.mcp.fastmcp_verifier import FastMCPTokenVerifier
    from linqi.mcp.protection import protect
    from linqi.mcp.token_verifier import TokenVerifier
    from linqi.mcp.tool_scopes import MissingScope, ToolScopes
else:
    __getattr__, __dir__ = on_demand(
        globals(),
        {
            "linqi.mcp.callers": ("current",),
            "linqi.mcp.fastmcp_verifier": ("FastMCPTokenVerifier",),
            "linqi.mcp.protection": ("protect",),
            "linqi.mcp.token_verifier": ("TokenVerifier",),
            "linqi.mcp.tool_scopes": ("MissingScope", "ToolScopes"),
        },
    )

__all__ = [
    "FastMCPTokenVerifier",
    "MissingScope",
    "TokenVerifier",
    "ToolScopes",
    "current",
    "protect",
]
