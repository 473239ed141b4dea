#!/usr/bin/env python3
"""AWS Secrets Manager as moto has it, on loopback, in memory; it knows one key."""

import json
import logging
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

import held

KEY, SECRET = "AKIAFAKEFAKEFAKEFAKE", "FAKE-aws-secret-access-key"
UNKNOWN = {
    "__type": "UnrecognizedClientException",
    "message": "The security token included in the request is invalid.",
}


class OneKey:
    """moto takes every key; this one refuses the others in the words of AWS."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environment, start_response):
        if f"Credential={KEY}/" in environment.get("HTTP_AUTHORIZATION", ""):
            return self.application(environment, start_response)
        start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps(UNKNOWN).encode()]


def main():
    logging.getLogger("werkzeug").disabled = True
    # One request at a time: moto moves a label in several steps.
    server = make_server("127.0.0.1", 0, OneKey(DomainDispatcherApplication(create_backend_app)), threaded=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    held.until_eof(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
        AWS_ACCESS_KEY_ID=KEY,
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_REGION="eu-central-1",
        AWS_DEFAULT_REGION="eu-central-1",
    )


if __name__ == "__main__":
    main()
