"""An MCP server with no tools, and its authorisation server, whose refresh tokens work once."""

import hashlib
import json

from answers import Answer
from logins import Refused

URL = "https://mcp.example/mcp"
NAME = "fake"


def key():
    """The name under which Claude Code keeps the login to this server."""
    server = json.dumps({"type": "http", "url": URL, "headers": {}}, separators=(",", ":"))
    return f"{NAME}|{hashlib.sha256(server.encode()).hexdigest()[:16]}"


def login_file(_login, tokens):
    """The object `mcpOAuth` of `.credentials.json` with a login to this server."""
    entry = {
        "serverName": NAME,
        "serverUrl": URL,
        "clientId": "FAKE-client",
        "accessToken": tokens["access"],
        "refreshToken": tokens["refresh"],
        "expiresAt": int(tokens["expires_at"] * 1000),
        "scope": "",
    }
    return {key(): entry}


def metadata(_request):
    """RFC 8414."""
    return Answer.json(
        {
            "issuer": "https://mcp.example",
            "authorization_endpoint": "https://mcp.example/mcp/authorize",
            "token_endpoint": "https://mcp.example/mcp/token",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }
    )


def token(request):
    """Refreshes."""
    try:
        _, tokens = request.book.refresh("mcp", request.refresh_token)
    except Refused as why:
        return Answer.json({"error": "invalid_grant", "error_description": str(why)}, 400, str(why))
    return Answer.json(
        {
            "token_type": "Bearer",
            "access_token": tokens["access"],
            "refresh_token": tokens["refresh"],
            "expires_in": tokens["expires_in"],
        }
    )


def rpc(request):
    """JSON-RPC over HTTP: what a client asks first."""
    method, number = request.json.get("method"), request.json.get("id")
    if number is None:
        return Answer(202, "application/json", "")
    results = {
        "initialize": {
            "protocolVersion": request.json.get("params", {}).get("protocolVersion"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": NAME, "version": "1"},
        },
        "tools/list": {"tools": []},
    }
    return Answer.json({"jsonrpc": "2.0", "id": number, "result": results.get(method, {})})


def events(_request):
    """No stream of events is offered."""
    return Answer.json({}, 405)


def unauthorised(_request):
    """A credential is missing, unknown, expired or revoked."""
    return Answer.json({"error": "invalid_token"}, 401, "invalid credentials")


OPEN = {
    ("GET", "/.well-known/oauth-authorization-server"): metadata,
    ("POST", "/mcp/token"): token,
}
GUARDED = {
    ("POST", "/mcp"): rpc,
    ("GET", "/mcp"): events,
}
