"""What agents ask of a vendor of the OpenAI chat form, or of the Gemini form."""

from answers import Answer

TEXT = "Hello from the fake vendor."


def chat(request):
    """One short answer, streamed if asked."""
    message = {"role": "assistant", "content": TEXT}
    kind, key = ("chat.completion.chunk", "delta") if request.json.get("stream") else ("chat.completion", "message")
    answer = {
        "id": "FAKE",
        "object": kind,
        "created": 1,
        "model": "fake",
        "choices": [{"index": 0, key: message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    return Answer.stream([answer]) if request.json.get("stream") else Answer.json(answer)


def content(_request):
    """One short answer in one event."""
    parts = {"role": "model", "parts": [{"text": TEXT}]}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    candidate = {"content": parts, "finishReason": "STOP", "index": 0}
    return Answer.stream([{"candidates": [candidate], "usageMetadata": usage}])


def unauthorised(_request):
    """A credential is missing, or unknown."""
    return Answer.json({"error": {"code": 401, "message": "invalid credentials"}}, 401, "invalid credentials")


OPEN = {}
GUARDED = {
    ("POST", "/v1/chat/completions"): chat,
    ("POST", "/v1beta/models/fake:streamGenerateContent"): content,
}
