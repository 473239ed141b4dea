#!/usr/bin/env python3
"""As much of a Kubernetes API server as the Secrets and Leases of one namespace need, by its rules.

  kubernetes.py DIR      DIR gets `account/`, as a pod sees its service account, and the CA

A resourceVersion that is not the stored one is a conflict (409), and so is making what is there; an object without one
is written over it, where the kind allows that. Every answer has the server's Date.
"""

import base64
import binascii
import copy
import http.server
import json
import os
import re
import sys
import threading
import uuid

sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vendor"))

import held  # noqa: E402
from authority import Authority  # noqa: E402

NAMESPACE = "agents"
TOKEN = "FAKE-service-account-token"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
KINDS = {SECRETS: ("Secret", "v1"), LEASES: ("Lease", "coordination.k8s.io/v1")}

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
KEY = re.compile(r"[-._a-zA-Z0-9]+")
MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
MIB = 1024 * 1024


class Refused(Exception):
    """An answer other than success: its code, its reason and its message."""

    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason = code, reason


def check_secret(secret):
    if secret.get("type", "Opaque") != "Opaque":
        raise Refused(422, "Invalid", "type: field is immutable")
    size = 0
    for key, value in (secret.get("data") or {}).items():
        if not KEY.fullmatch(key):
            raise Refused(422, "Invalid", f"data[{key}]: Invalid value: a valid config key must consist of [-._a-zA-Z0-9]")
        try:
            size += len(base64.b64decode(value, validate=True))
        except (binascii.Error, TypeError, ValueError):
            raise Refused(400, "BadRequest", "Secret in version v1 cannot be handled: illegal base64 data") from None
    if size > MIB:
        raise Refused(422, "Invalid", f"data: Too long: may not be more than {MIB} bytes")
    secret["type"] = "Opaque"


def check_lease(lease):
    spec = lease.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds", 1)
    if not isinstance(seconds, int) or seconds <= 0:
        raise Refused(422, "Invalid", "spec.leaseDurationSeconds: Invalid value: must be greater than 0")
    for name in ("renewTime", "acquireTime"):
        if name in spec and not MICRO_TIME.fullmatch(spec[name]):
            raise Refused(400, "BadRequest", f"Lease in version v1 cannot be handled: parsing time {spec[name]!r}")


class Objects:
    """What is stored; one request at a time."""

    def __init__(self):
        self._lock, self._objects, self._version = threading.Lock(), {}, 1000

    def read(self, collection, name):
        with self._lock:
            return copy.deepcopy(self._found(collection, name))

    def create(self, collection, wanted):
        with self._lock:
            name = wanted.get("metadata", {}).get("name", "")
            if not NAME.fullmatch(name):
                raise Refused(422, "Invalid", f"metadata.name: Invalid value: {name!r}")
            if wanted["metadata"].get("resourceVersion"):
                raise Refused(400, "BadRequest", "resourceVersion should not be set on objects to be created")
            if (collection, name) in self._objects:
                raise Refused(409, "AlreadyExists", f"{collection.rsplit('/', 1)[1]} \"{name}\" already exists")
            wanted["metadata"]["uid"] = str(uuid.uuid4())
            return self._store(collection, name, wanted)

    def replace(self, collection, name, wanted):
        with self._lock:
            found = self._found(collection, name)["metadata"]
            metadata = wanted.get("metadata", {})
            if metadata.get("name") != name:
                raise Refused(400, "BadRequest", "the name of the object does not match the name on the URL")
            version = metadata.get("resourceVersion")
            if version is None and collection == LEASES:
                raise Refused(422, "Invalid", "metadata.resourceVersion: Invalid value: must be specified for an update")
            if version not in (None, found["resourceVersion"]) or metadata.get("uid") not in (None, found["uid"]):
                raise Refused(409, "Conflict", f"Operation cannot be fulfilled on \"{name}\": the object has been "
                              "modified; please apply your changes to the latest version and try again")
            metadata["uid"] = found["uid"]
            return self._store(collection, name, wanted)

    def _found(self, collection, name):
        try:
            return self._objects[collection, name]
        except KeyError:
            raise Refused(404, "NotFound", f"{collection.rsplit('/', 1)[1]} \"{name}\" not found") from None

    def _store(self, collection, name, wanted):
        kind, version = KINDS[collection]
        if (wanted.get("kind", kind), wanted.get("apiVersion", version)) != (kind, version):
            raise Refused(400, "BadRequest", f"the object provided is no {kind} of {version}")
        (check_secret if collection == SECRETS else check_lease)(wanted)
        self._version += 1
        wanted |= {"kind": kind, "apiVersion": version}
        wanted["metadata"] |= {"namespace": NAMESPACE, "resourceVersion": str(self._version),
                               "managedFields": [{"manager": "curl", "operation": "Update"}]}
        self._objects[collection, name] = wanted
        return copy.deepcopy(wanted)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    objects = Objects()

    def log_message(self, *_):
        """Nothing."""

    def do_GET(self):
        self._answer(200, lambda collection, name, _: self.objects.read(collection, name))

    def do_POST(self):
        self._answer(201, lambda collection, _, wanted: self.objects.create(collection, wanted))

    def do_PUT(self):
        self._answer(200, self.objects.replace)

    def _answer(self, code, act):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            answer = act(*self._place(), json.loads(body) if body else None)
        except Refused as refused:
            code = refused.code
            answer = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": refused.reason,
                      "code": code, "message": str(refused)}
        payload = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _place(self):
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "Unauthorized", "Unauthorized")
        if self.command != "GET" and self.headers.get("Content-Type") != "application/json":
            raise Refused(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        for collection in KINDS:
            if self.path == collection and self.command == "POST":
                return collection, None
            name = self.path.removeprefix(collection + "/")
            if name != self.path and self.command != "POST" and NAME.fullmatch(name):
                return collection, name
        raise Refused(403, "Forbidden", f"User \"system:serviceaccount:{NAMESPACE}:agent\" cannot reach {self.path}")


class Server(http.server.ThreadingHTTPServer):
    """Threads that end with us, and no word of clients that hang up or refuse our certificate."""

    daemon_threads = True

    def handle_error(self, *_):
        """Nothing."""


def main(directory):
    account = os.path.join(directory, "account")
    os.mkdir(account)
    authority = Authority(directory)
    for name, content in (("token", TOKEN), ("namespace", NAMESPACE)):
        with open(os.path.join(account, name), "w", encoding="utf-8") as file:
            file.write(content)
    os.symlink("../ca.pem", os.path.join(account, "ca.crt"))

    server = Server(("127.0.0.1", 0), Handler)
    context = authority.context("localhost")
    # The handshake is its connection's own business: one that hangs must not hold up the others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    held.until_eof(
        KUBERNETES_SERVICE_HOST="localhost",
        KUBERNETES_SERVICE_PORT=str(server.server_port),
        SERVICE_ACCOUNT_DIR=account,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
