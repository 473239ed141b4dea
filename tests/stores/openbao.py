#!/usr/bin/env python3
"""OpenBao in its development mode, on loopback, in memory.

  openbao.py BAO
"""

import contextlib
import http.client
import socket
import subprocess
import sys
import threading

import held

TOKEN = "FAKE-openbao-root"
TRIES = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(bao):
    """The process and its port; the port may be taken meanwhile by another, who is none of ours: then the next one."""
    for _ in range(TRIES):
        port = free_port()
        server = subprocess.Popen(
            [bao, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}",
             f"-dev-listen-address=127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in server.stdout:
            if "server started!" in line:
                # Its log goes on, and a pipe that nobody empties would stop it.
                threading.Thread(target=server.stdout.read, daemon=True).start()
                return server, port
        server.wait()
    raise SystemExit(f"openbao: {bao} did not start, {TRIES} times")


def await_engine(port):
    """The KV engine of a new server refuses requests until it has set itself up."""
    status = None
    while status != 404:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("GET", "/v1/secret/data/nothing", headers={"X-Vault-Token": TOKEN})
            status = connection.getresponse().status


def main(bao):
    server, port = start(bao)
    try:
        await_engine(port)
        held.until_eof(VAULT_ADDR=f"http://127.0.0.1:{port}", VAULT_TOKEN=TOKEN)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
