"""What a route sees of a request and what it gives back."""

import json
import urllib.parse


class Request:
    """One request of an agent, with the credentials that it carried."""

    def __init__(self, book, method, host, path, headers, body):
        self.book, self.method, self.host, self.path = book, method, host, path
        self.api_key = headers.get("x-api-key") or headers.get("x-goog-api-key")
        scheme, _, value = headers.get("authorization", "").partition(" ")
        self.bearer = value if scheme.lower() == "bearer" else None
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = {}
        if not isinstance(self.json, dict):
            self.json = {}
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            self.json = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
        self.refresh_token = self.json.get("refresh_token")

    def authorised(self):
        """At least one credential is there, and every one is good."""
        sent = [value for value in (self.bearer, self.api_key) if value is not None]
        return bool(sent) and all(self.book.accepts(value) for value in sent)


class Answer:
    """Status, media type and whole body; `why` goes into the log only."""

    def __init__(self, status, kind, body, why=None):
        self.status, self.kind, self.body, self.why = status, kind, body.encode(), why

    @classmethod
    def json(cls, value, status=200, why=None):
        return cls(status, "application/json", json.dumps(value), why)

    @classmethod
    def events(cls, events):
        """Server-sent events named by their `type`."""
        lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return cls(200, "text/event-stream", "".join(lines))

    @classmethod
    def stream(cls, events):
        """Server-sent events without names."""
        return cls(200, "text/event-stream", "".join(f"data: {json.dumps(event)}\n\n" for event in events))
