"""The sockets: a loopback port (APIs, CONNECT proxy) and a Unix socket (APIs) for agents, a Unix socket for the tests."""

import http.server
import os
import socketserver
import sys
import time
import urllib.parse

import claude
import codex
import mcp
import others
from answers import Answer, Request
from control import AGENTS_SOCKET, SOCKET

VENDORS = [claude, codex, mcp, others]
TOKEN_PATHS = {path for vendor in VENDORS for (_, path) in vendor.OPEN if path.endswith("/token")}


class Base(http.server.BaseHTTPRequestHandler):
    """One answer per connection: no request body can be taken for the next request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        """The journal is the log."""

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def send(self, answer):
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("content-type", answer.kind)
        self.send_header("content-length", str(len(answer.body)))
        self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


class Agents(Base):
    """Serves agents. A CONNECT to any host ends here, so no request leaves the machine."""

    def do_CONNECT(self):
        host = self.path.rpartition(":")[0]
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.authority.context(host).wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        host = url.hostname or self.headers.get("host", "").partition(":")[0]
        request = Request(self.server.desk.book, self.command, host, url.path, self.headers, self.body())
        answer = route(request)
        self.server.desk.journal.write(request, answer)
        if request.path in TOKEN_PATHS:
            time.sleep(self.server.desk.delay_token)
        self.server.desk.hold_back(request.path)
        self.send(answer)


class Tests(Base):
    """Serves the tests."""

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        self.send(self.server.desk.answer(url.path.rpartition("/")[2], dict(urllib.parse.parse_qsl(url.query))))


class Crowded(socketserver.ThreadingMixIn):
    """Serves many agents at once."""

    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """An agent that hangs up early is no event worth a traceback."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class AgentServer(Crowded, socketserver.TCPServer):
    """The loopback port. Not HTTPServer, which asks the name service for its own name."""

    def __init__(self, desk, authority):
        super().__init__(("127.0.0.1", 0), Agents)
        self.desk, self.authority = desk, authority
        self.server_port = self.server_address[1]


class LocalAgentServer(Crowded, socketserver.UnixStreamServer):
    """Plain HTTP on a Unix socket, for stand-in agents in whatever network namespace."""

    def __init__(self, desk, directory):
        path = os.path.join(directory, AGENTS_SOCKET)
        super().__init__(path, Agents)
        os.chmod(path, 0o666)
        self.desk = desk


class TestServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The control socket."""

    daemon_threads = True

    def __init__(self, desk, directory):
        super().__init__(os.path.join(directory, SOCKET), Tests)
        self.desk = desk


def route(request):
    """The answer of the vendor that knows the path; 404 for all else that agents call home for."""
    key = (request.method, request.path)
    for vendor in VENDORS:
        if key in vendor.OPEN:
            return vendor.OPEN[key](request)
        if key in vendor.GUARDED:
            return vendor.GUARDED[key](request) if request.authorised() else vendor.unauthorised(request)
    return Answer.json({"error": "the fake vendor has nothing here"}, 404)
