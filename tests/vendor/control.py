"""The tests' side: `/control/...` on a Unix socket in the vendor's directory, and its client."""

import http.client
import json
import os
import socket
import threading
import urllib.parse

import claude
import codex
import mcp
from answers import Answer

AGENTS = {"claude": claude, "codex": codex, "mcp": mcp}
SOCKET = "control.sock"
AGENTS_SOCKET = "agents.sock"
WAIT_SECONDS = 120


class Desk:
    """What tests may ask of a running vendor. All of it takes query parameters and answers JSON."""

    def __init__(self, book, journal):
        self.book, self.journal = book, journal
        self.delay_token, self._held, self._released = 0.0, None, threading.Event()

    def answer(self, verb, query):
        """Serves one verb; None if there is no such verb."""
        action = getattr(self, f"_do_{verb}", None)
        return action(**query) if action else Answer.json({"error": f"no verb {verb}"}, 404)

    def hold_back(self, path):
        """Blocks the answer of a held path until it is released."""
        if path == self._held:
            self._released.wait(WAIT_SECONDS)

    def _do_log(self, path=None):
        return Answer.json(self.journal.records(path))

    def _do_wait(self, path, count="1"):
        found = self.journal.wait(path, int(count), WAIT_SECONDS)
        return Answer.json({"error": f"{path} was not asked for"}, 504) if found is None else Answer.json(found)

    def _do_mint(self, agent, kind="login", expires_in="3600"):
        if kind == "code":
            return Answer.json(self.book.mint_code(agent))
        if kind != "login":
            return Answer.json(self.book.mint_key(agent, kind))
        return Answer.json(AGENTS[agent].login_file(*self.book.mint(agent, float(expires_in))))

    def _do_revoke(self):
        self.book.revoke()
        return Answer.json({})

    def _do_expire(self):
        self.book.expire()
        return Answer.json({})

    def _do_set(self, lifetime=None, delay_token=None, ahead=None):
        if lifetime is not None:
            self.book.lifetime = int(lifetime)
        if delay_token is not None:
            self.delay_token = float(delay_token)
        if ahead is not None:
            self.book.ahead = float(ahead)
        return Answer.json({})

    def _do_hold(self, path):
        self._released.clear()
        self._held = path
        self.journal.set_over(False)
        return Answer.json({})

    def _do_release(self):
        self._held = None
        self._released.set()
        self.journal.set_over(True)
        return Answer.json({})


def ask(directory, verb, **query):
    """Asks a running vendor; gives the parsed answer."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(os.path.join(directory, SOCKET))
    except OSError as why:
        raise SystemExit(f"vendor: no vendor runs in {directory}: {why.strerror}") from why
    connection.request("POST", f"/control/{verb}?{urllib.parse.urlencode(query)}")
    answer = connection.getresponse()
    value = json.load(answer)
    if answer.status != 200:
        raise SystemExit(f"vendor: {verb}: {value['error']}")
    return value
