"""A certificate authority for one run. Its key never leaves the vendor's directory."""

import os
import ssl
import subprocess
import threading

DAYS = "2"


class Authority:
    """Makes a certificate for any host that an agent connects to through the proxy."""

    def __init__(self, directory):
        self._directory, self._lock, self._contexts = directory, threading.Lock(), {}
        self.certificate = self._path("ca.pem")
        for name in ("ca", "leaf"):
            openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", self._path(f"{name}.key"))
            os.chmod(self._path(f"{name}.key"), 0o600)
        subject = ["-subj", "/CN=agent-init FAKE vendor", "-days", DAYS, "-key", self._path("ca.key")]
        openssl("req", "-x509", "-new", *subject, "-out", self.certificate)

    def context(self, host):
        """The TLS context that proves to be `host`."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._certify(host)
            return self._contexts[host]

    def _certify(self, host):
        leaf, signer = self._path("leaf.key"), ["-CA", self.certificate, "-CAkey", self._path("ca.key")]
        names = f"subjectAltName=DNS:{host}"
        out = self._path(f"host-{len(self._contexts)}.pem")
        extensions = ["-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
        openssl("req", "-x509", "-new", "-subj", "/", "-days", DAYS, "-key", leaf, *signer, *extensions, "-out", out)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(out, leaf)
        return context

    def _path(self, name):
        return os.path.join(self._directory, name)


def openssl(*arguments):
    """Runs the openssl command; 3.0 is the first that signs in one step."""
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"vendor: openssl {arguments[0]} failed: {done.stderr.strip()}")
