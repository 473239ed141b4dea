#!/usr/bin/env python3
"""A stand-in for Claude Code in a fleet: a session that refreshes by the rules that the real one keeps.

  agent.py VENDOR COMMANDS      VENDOR: the Unix socket of the vendor; COMMANDS: a fifo

A line of COMMANDS is `turn NUMBER AHEAD [stall]`, or `end`. AHEAD is how many seconds the time is ahead of the clock;
`stall` stops for ever where the request for new tokens would be sent. The answer is `NUMBER ok` or `NUMBER failed: WHY`.
"""

import contextlib
import http.client
import json
import os
import random
import secrets
import signal
import socket
import sys
import time

HOME = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.expanduser("~/.claude")
FILE = os.path.join(HOME, ".credentials.json")
INTENT = os.path.join(HOME, ".oauth_refresh.lock")
LOCK = os.path.realpath(HOME) + ".lock"
WRITE_LOCK = os.path.join(HOME, ".storage-write.lock")

EARLY = 300  # seconds before its expiry an access token is renewed
STALE = 10  # a lock that nobody touched for so long is taken over
RETRIES = 5
PAUSE = (1.0, 2.0)  # before the next try
# Between the intent and the lock itself, as measured: at the first try, and at the others.
FIRST, NEXT = (0.056, 0.117), (0.0008, 0.0046)
REQUEST = 30


class Held(Exception):
    """Another has the lock."""


class Failed(Exception):
    """The turn has no answer."""


def read():
    """The login; one without tokens if there is none."""
    try:
        with open(FILE, encoding="utf-8") as file:
            return json.load(file).get("claudeAiOauth", {})
    except (OSError, ValueError):
        return {}


def write(login):
    """Temporary file and rename, beside the siblings that the file has by then; no fsync."""
    with locked(WRITE_LOCK):
        try:
            with open(FILE, encoding="utf-8") as file:
                whole = json.load(file)
        except (OSError, ValueError):
            whole = {}
        temporary = f"{FILE}.tmp.{secrets.token_hex(4)}"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({**whole, "claudeAiOauth": login}, file)
        os.rename(temporary, FILE)


@contextlib.contextmanager
def locked(path):
    """A directory as a lock; one that cannot be made for another reason than that it is there is done without."""
    made = False
    try:
        os.mkdir(path)
        made = True
    except FileExistsError:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_mtime > time.time() - STALE:
                raise Held from None
            os.rmdir(path)
        with contextlib.suppress(OSError):
            os.mkdir(path)
            made = True
    except OSError:
        pass
    try:
        yield
    finally:
        if made:
            with contextlib.suppress(OSError):
                os.rmdir(path)


class Agent:
    """One process's mind: the login as last read, the tokens known to be dead, and what the time is."""

    def __init__(self, vendor):
        self.vendor, self.login, self.dead = vendor, read(), set()
        self.ahead, self.stalls = 0.0, False

    def post(self, path, body, bearer=None):
        """One request: (status, answer)."""
        connection = http.client.HTTPConnection("localhost", timeout=REQUEST)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(REQUEST)
        connection.sock.connect(self.vendor)
        headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def is_due(self):
        """Whether the access token is about to expire and can be renewed."""
        expires = self.login.get("expiresAt")
        return bool(self.is_refreshable() and expires and time.time() + self.ahead + EARLY >= expires / 1000)

    def is_refreshable(self):
        """Whether there is a refresh token that is not known to be dead."""
        return bool(self.login.get("refreshToken")) and self.login["refreshToken"] not in self.dead

    def turn(self):
        """One prompt. Raises Failed."""
        self.login = read()
        if self.is_due():
            self.refresh()
        for _ in range(3):
            access = self.login.get("accessToken")
            if not access:
                raise Failed("not logged in")
            status, _ = self.post("/v1/messages", {"model": "FAKE"}, access)
            if status == 200:
                return
            self.login = read()
            if self.login.get("accessToken") == access:
                self.refresh()
        raise Failed("401")

    def refresh(self):
        """New tokens, ours or another's. With neither, the turn goes on with the old ones."""
        ours = self.login.get("accessToken")
        for between in [FIRST] + [NEXT] * RETRIES:
            self.login = read()
            if self.login.get("accessToken") != ours or not self.is_refreshable():
                return
            try:
                with locked(INTENT):
                    time.sleep(random.uniform(*between))
                    with locked(LOCK):
                        self.login = read()
                        if self.login.get("accessToken") == ours:
                            self.renew()
                        return
            except Held:
                time.sleep(random.uniform(*PAUSE))

    def renew(self):
        """The request itself, with both locks held."""
        spent = self.login["refreshToken"]
        if self.stalls:
            print("stalled", flush=True)
            signal.pause()
        status, answer = self.post("/v1/oauth/token", {"grant_type": "refresh_token", "refresh_token": spent})
        if status == 200:
            expires = int((time.time() + self.ahead + answer["expires_in"]) * 1000)
            tokens = {"accessToken": answer["access_token"], "refreshToken": answer["refresh_token"]}
            write({**self.login, **tokens, "expiresAt": expires})
        elif answer.get("error") == "invalid_grant":
            self.dead.add(spent)
            if read().get("refreshToken") == spent:
                write({**self.login, "accessToken": "", "refreshToken": "", "expiresAt": 0})
        self.login = read()


def stop(number, _frame):
    """Ends at once; locks are removed on the way out, and an answer under way is lost."""
    sys.exit(128 + number)


def main():
    """Takes commands until `end`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    agent = Agent(sys.argv[1])
    with open(sys.argv[2], encoding="utf-8") as commands:
        print("ready", flush=True)
        while (words := commands.readline().split()) and words[0] == "turn":
            agent.ahead, agent.stalls = float(words[2]), "stall" in words[3:]
            try:
                agent.turn()
                print(f"{words[1]} ok", flush=True)
            except (Failed, OSError) as why:
                print(f"{words[1]} failed: {why}", flush=True)


if __name__ == "__main__":
    main()
