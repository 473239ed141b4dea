"""What Codex asks: its token endpoint, and a model provider of the Responses API."""

import datetime

from answers import Answer
from logins import REUSED, Refused

TEXT = "Hello from the fake vendor."


def login_file(login, tokens):
    """`auth.json` as the CLI writes it. The identity token is a JWT as well."""
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": tokens["access"],
            "access_token": tokens["access"],
            "refresh_token": tokens["refresh"],
            "account_id": login.account,
        },
        "last_refresh": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def arguments(port):
    """Arguments for `codex exec` that name this vendor as the model provider."""
    provider = (
        f'{{name="fake",base_url="http://127.0.0.1:{port}/codex/v1",wire_api="responses",'
        "requires_openai_auth=true,supports_websockets=false}"
    )
    settings = ['model_provider="fake"', f"model_providers.fake={provider}", "check_for_update_on_startup=false"]
    return [word for setting in settings for word in ("-c", setting)]


def environment(port):
    """Where the token endpoint is."""
    return {"CODEX_REFRESH_TOKEN_URL_OVERRIDE": f"http://127.0.0.1:{port}/codex/oauth/token"}


def token(request):
    """Refreshes a session."""
    try:
        _, tokens = request.book.refresh("codex", request.refresh_token)
    except Refused as why:
        code = "refresh_token_reused" if str(why) == REUSED else "refresh_token_invalidated"
        return Answer.json({"error": {"code": code, "message": str(why)}}, 401, str(why))
    return Answer.json(
        {"id_token": tokens["access"], "access_token": tokens["access"], "refresh_token": tokens["refresh"]}
    )


def responses(_request):
    """One short answer."""
    item = {
        "id": "msg_FAKE",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
    }
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    done = {"id": "resp_FAKE", "status": "completed", "output": [item], "usage": usage}
    return Answer.events(
        [
            {"type": "response.created", "response": {"id": "resp_FAKE"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": done},
        ]
    )


def unauthorised(_request):
    """A credential is missing, unknown, expired or revoked."""
    return Answer.json({"error": {"code": "invalid_token", "message": "invalid credentials"}}, 401, "invalid credentials")


OPEN = {("POST", "/codex/oauth/token"): token}
GUARDED = {("POST", "/codex/v1/responses"): responses}
