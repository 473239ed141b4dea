"""The vendor's memory: accounts, single-use refresh tokens, access tokens. Every token is made up and says FAKE."""

import base64
import json
import secrets
import threading
import time

# A refresh token that was sent before; a vendor may answer by ending the whole login.
REUSED = "refresh token was already used"
UNKNOWN = "refresh token is not known"
UNKNOWN_CODE = "code is not known, or was already used"
REVOKED = "login was revoked"


class Refused(Exception):
    """The token endpoint answers invalid_grant."""


class Login:
    """One grant: a chain of refresh tokens, of which only the last one is good."""

    def __init__(self, agent):
        self.agent, self.account = agent, f"FAKE-account-{secrets.token_hex(4)}"
        self.refresh, self.spent, self.revoked = None, set(), False


class Book:
    """All logins and keys. Thread-safe: one lock around every rule."""

    def __init__(self, lifetime, revoke_on_reuse):
        self.lifetime, self.revoke_on_reuse = lifetime, revoke_on_reuse
        self._lock, self._serial = threading.RLock(), 0
        self._logins, self._access, self._keys, self._codes = [], {}, set(), set()
        # How far the vendor's clock is ahead of ours, in seconds: tests age logins with it.
        self.ahead = 0.0

    def mint(self, agent, expires_in):
        """A new login and its first tokens: (login, tokens)."""
        with self._lock:
            login = Login(agent)
            self._logins.append(login)
            return login, self._rotate(login, expires_in)

    def mint_key(self, agent, kind):
        """A long-lived token or an API key: it never expires and never rotates."""
        with self._lock:
            self._serial += 1
            key = f"FAKE-{agent}-{kind}-{self._serial}-{secrets.token_hex(8)}"
            self._keys.add(key)
            return key

    def mint_code(self, agent):
        """What a person pastes after logging in with a browser; it works once."""
        with self._lock:
            self._serial += 1
            code = f"FAKE-code-{self._serial}-{secrets.token_hex(8)}"
            self._codes.add((agent, code))
            return code

    def spend_code(self, agent, code):
        """Takes a code, or raises Refused."""
        with self._lock:
            if (agent, code) not in self._codes:
                raise Refused(UNKNOWN_CODE)
            self._codes.remove((agent, code))

    def mint_long_lived(self, prefix):
        """A token of the vendor's own shape that nothing refreshes."""
        with self._lock:
            self._serial += 1
            token = f"{prefix}FAKE-{self._serial}-{secrets.token_hex(40)}"[:106] + "AA"
            self._keys.add(token)
            return token

    def refresh(self, agent, token):
        """Spends `token` and gives (login, next tokens), or raises Refused."""
        with self._lock:
            for login in self._logins:
                if login.agent != agent or (token != login.refresh and token not in login.spent):
                    continue
                if login.revoked:
                    raise Refused(REVOKED)
                if token in login.spent:
                    login.revoked = login.revoked or self.revoke_on_reuse
                    raise Refused(REUSED)
                return login, self._rotate(login, self.lifetime)
            raise Refused(UNKNOWN)

    def accepts(self, token):
        """True for a known key, or an access token that has not expired and whose login stands."""
        with self._lock:
            if token in self._keys:
                return True
            login, expires_at = self._access.get(token, (None, 0))
            return login is not None and not login.revoked and self._now() < expires_at

    def expire(self):
        """Ends every access token now; refresh tokens stay good."""
        with self._lock:
            self._access = {token: (login, 0) for token, (login, _) in self._access.items()}

    def revoke(self):
        """Ends every login; its access and refresh tokens are dead."""
        with self._lock:
            for login in self._logins:
                login.revoked = True

    def _now(self):
        return time.time() + self.ahead

    def _rotate(self, login, expires_in):
        self._serial += 1
        if login.refresh:
            login.spent.add(login.refresh)
        login.refresh = f"FAKE-{login.agent}-refresh-{self._serial}-{secrets.token_hex(8)}"
        expires_at = self._now() + expires_in
        if login.agent == "codex":
            access = jwt(login.account, expires_at, self._serial)
        else:
            access = f"FAKE-{login.agent}-access-{self._serial}-{secrets.token_hex(8)}"
        self._access[access] = (login, expires_at)
        return {"access": access, "refresh": login.refresh, "expires_in": expires_in, "expires_at": expires_at}


def jwt(account, expires_at, serial):
    """An unsigned token of three parts with the claims that Codex reads; the last part names it as made up."""
    claims = {
        "iss": "FAKE-vendor",
        "exp": int(expires_at),
        "email": "fake@example.com",
        "https://api.openai.com/auth": {
            "chatgpt_account_id": account,
            "chatgpt_user_id": "FAKE-user",
            "chatgpt_plan_type": "plus",
        },
    }
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts]
    return ".".join([*encoded, f"FAKE-signature-{serial}-{secrets.token_hex(4)}"])
