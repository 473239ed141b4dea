"""What Claude Code asks of its vendor: the token endpoint, the profile, the messages API."""

from answers import Answer
from logins import Refused

SCOPES = ["user:profile", "user:inference", "user:sessions:claude_code"]
TEXT = "Hello from the fake vendor."
# For so long, in seconds, `claude setup-token` asks.
YEAR = 31536000


def login_file(_login, tokens):
    """`.credentials.json` as the CLI writes it."""
    session = {
        "accessToken": tokens["access"],
        "refreshToken": tokens["refresh"],
        "expiresAt": int(tokens["expires_at"] * 1000),
        "scopes": SCOPES,
        "subscriptionType": "max",
    }
    return {"claudeAiOauth": session}


def token(request):
    """Refreshes a session, or makes one, or a long-lived token, of the code that a person pasted."""
    try:
        if request.json.get("grant_type") == "authorization_code":
            request.book.spend_code("claude", request.json.get("code"))
            if int(request.json.get("expires_in") or 0) >= YEAR:
                return long_lived(request)
            login, tokens = request.book.mint("claude", request.book.lifetime)
        else:
            login, tokens = request.book.refresh("claude", request.refresh_token)
    except Refused as why:
        return Answer.json({"error": "invalid_grant", "error_description": str(why)}, 400, str(why))
    return Answer.json(
        {
            "token_type": "Bearer",
            "access_token": tokens["access"],
            "refresh_token": tokens["refresh"],
            "expires_in": tokens["expires_in"],
            "scope": " ".join(SCOPES),
            "account": {"uuid": login.account, "email_address": "fake@example.com"},
            "organization": {"uuid": "FAKE-organization", "name": "FAKE organization"},
        }
    )


def long_lived(request):
    """What `claude setup-token` shows."""
    token = request.book.mint_long_lived("sk-ant-oat01-")
    answer = {"token_type": "Bearer", "access_token": token, "expires_in": YEAR, "scope": "user:inference"}
    return Answer.json(answer)


def profile(_request):
    """Whose login it is."""
    account = {
        "uuid": "FAKE-account",
        "email": "fake@example.com",
        "full_name": "FAKE",
        "display_name": "FAKE",
        "has_claude_max": True,
        "has_claude_pro": False,
    }
    organization = {
        "uuid": "FAKE-organization",
        "name": "FAKE organization",
        "organization_type": "claude_max",
        "rate_limit_tier": "default_claude_max_5x",
    }
    return Answer.json({"account": account, "organization": organization})


def messages(request):
    """One short answer, streamed if asked."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {
        "id": "msg_FAKE",
        "type": "message",
        "role": "assistant",
        "model": request.json.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    if not request.json.get("stream"):
        return Answer.json({**message, "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    return Answer.events(
        [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ending, "usage": usage},
            {"type": "message_stop"},
        ]
    )


def hello(_request):
    """The reachability check of a first start."""
    return Answer.json({"message": "hello"})


def unauthorised(_request):
    """A credential is missing, unknown, expired or revoked."""
    error = {"type": "authentication_error", "message": "invalid credentials"}
    return Answer.json({"type": "error", "error": error}, 401, "invalid credentials")


OPEN = {
    ("POST", "/v1/oauth/token"): token,
    ("GET", "/api/hello"): hello,
    ("GET", "/v1/oauth/hello"): hello,
}
GUARDED = {
    ("GET", "/api/oauth/profile"): profile,
    ("POST", "/v1/messages"): messages,
}
