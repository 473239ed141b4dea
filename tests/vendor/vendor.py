#!/usr/bin/env python3
"""A fake vendor for coding agents: made-up logins with single-use refresh tokens, on loopback.

  vendor.py serve --dir DIR [...]            serves; one JSON line on stdout when it is ready
  vendor.py mint --dir DIR AGENT [...]       prints a new login file that the running vendor knows
  vendor.py log --dir DIR                    prints the requests so far for a person
  vendor.py control --dir DIR VERB [K=V...]  log, wait, hold, release, expire, revoke, set
"""

import argparse
import json
import os
import sys
import threading

import codex
import control
from authority import Authority
from journal import Journal
from logins import Book
from network import raise_loopback
from server import AgentServer, LocalAgentServer, TestServer


def serve(options):
    """Serves until killed, or until stdin ends."""
    os.makedirs(options.dir, exist_ok=True)
    os.chmod(options.dir, 0o755)
    if options.loopback_up:
        raise_loopback()
    journal = os.path.join(options.dir, "log.jsonl")
    desk = control.Desk(Book(options.lifetime, options.revoke_on_reuse), Journal(journal))
    desk.delay_token = options.delay_token
    authority = Authority(options.dir)
    agents = AgentServer(desk, authority)
    for server in (agents, LocalAgentServer(desk, options.dir), TestServer(desk, options.dir)):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(ready(agents.server_port, authority, journal)), flush=True)
    if options.until_eof:
        sys.stdin.read()
    else:
        threading.Event().wait()


def ready(port, authority, journal):
    """All that a client needs to reach this vendor and nobody else."""
    proxy = f"http://127.0.0.1:{port}"
    # Both cases are read: some clients know only one.
    environment = {name: proxy for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")}
    environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    environment |= {"NODE_EXTRA_CA_CERTS": authority.certificate, "CODEX_CA_CERTIFICATE": authority.certificate}
    environment |= codex.environment(port)
    return {"port": port, "log": journal, "environment": environment, "codex_arguments": codex.arguments(port)}


def mint(options):
    """Prints a login file, or a key."""
    query = {"agent": options.agent, "kind": options.kind, "expires_in": options.expires_in}
    value = control.ask(options.dir, "mint", **query)
    print(value if isinstance(value, str) else json.dumps(value))


def log(options):
    """Prints method, path, credential and status of every request."""
    for record in control.ask(options.dir, "log"):
        kinds = ("refresh_token", "bearer", "api_key")
        sent = next((f"{kind} {record[kind]}" for kind in kinds if record[kind]), "-")
        path = record["path"] if len(record["path"]) <= 34 else record["path"][:31] + "..."
        print(f"{record['method']:4} {path:34} {sent[:60]:60} {record['status']}")


def ask(options):
    """Prints the answer; the lists of the log as one line per record."""
    value = control.ask(options.dir, options.verb, **dict(word.split("=", 1) for word in options.parameters))
    for line in value if isinstance(value, list) else []:
        print(json.dumps(line))


def main():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)

    verb = verbs.add_parser("serve")
    verb.set_defaults(run=serve)
    verb.add_argument("--dir", required=True, help="for its CA, log and control socket")
    verb.add_argument("--lifetime", type=int, default=3600, metavar="SECONDS", help="of refreshed access tokens")
    verb.add_argument("--delay-token", type=float, default=0, metavar="SECONDS", help="before each token answer")
    verb.add_argument("--revoke-on-reuse", action="store_true", help="a spent refresh token ends the whole login")
    verb.add_argument("--until-eof", action="store_true", help="end when stdin ends")
    verb.add_argument("--loopback-up", action="store_true", help="bring up lo in a new network namespace")

    verb = verbs.add_parser("mint")
    verb.set_defaults(run=mint)
    verb.add_argument("--dir", required=True)
    verb.add_argument("agent", choices=sorted(control.AGENTS))
    verb.add_argument("--kind", choices=["login", "token", "key", "code"], default="login")
    verb.add_argument("--expires-in", default="3600", metavar="SECONDS")

    verb = verbs.add_parser("log")
    verb.set_defaults(run=log)
    verb.add_argument("--dir", required=True)

    verb = verbs.add_parser("control")
    verb.set_defaults(run=ask)
    verb.add_argument("--dir", required=True)
    verb.add_argument("verb")
    verb.add_argument("parameters", nargs="*", metavar="K=V")

    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
