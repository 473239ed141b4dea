"""The rules that the tests of agents rest on: python3 -m unittest"""

import unittest

from logins import REUSED, REVOKED, UNKNOWN, Book, Refused


class Rules(unittest.TestCase):
    """One refresh token, one use."""

    def refused(self, book, token):
        """Why a refresh with `token` is refused."""
        with self.assertRaises(Refused) as caught:
            book.refresh("claude", token)
        return str(caught.exception)

    def test_a_refresh_token_works_once(self):
        book = Book(3600, revoke_on_reuse=False)
        login, first = book.mint("claude", 60)
        same, second = book.refresh("claude", first["refresh"])
        self.assertIs(login, same)
        self.assertEqual(self.refused(book, first["refresh"]), REUSED)
        self.assertTrue(book.accepts(second["access"]))
        book.refresh("claude", second["refresh"])

    def test_reuse_may_end_the_login(self):
        book = Book(3600, revoke_on_reuse=True)
        _, first = book.mint("claude", 60)
        _, second = book.refresh("claude", first["refresh"])
        self.assertEqual(self.refused(book, first["refresh"]), REUSED)
        self.assertEqual(self.refused(book, second["refresh"]), REVOKED)
        self.assertFalse(book.accepts(second["access"]))

    def test_unknown_expired_and_foreign_tokens_are_refused(self):
        book = Book(3600, revoke_on_reuse=False)
        _, codex = book.mint("codex", 60)
        self.assertEqual(self.refused(book, codex["refresh"]), UNKNOWN)
        self.assertEqual(self.refused(book, None), UNKNOWN)
        self.assertFalse(book.accepts("FAKE-nobody"))
        _, stale = book.mint("claude", -1)
        self.assertFalse(book.accepts(stale["access"]))
        _, fresh = book.mint("claude", 60)
        book.expire()
        self.assertFalse(book.accepts(fresh["access"]))

    def test_a_login_ages_with_the_vendors_clock(self):
        book = Book(3600, revoke_on_reuse=True)
        _, first = book.mint("claude", 3600)
        book.ahead = 3000
        self.assertTrue(book.accepts(first["access"]))
        _, second = book.refresh("claude", first["refresh"])
        book.ahead = 6000
        self.assertFalse(book.accepts(first["access"]))
        self.assertTrue(book.accepts(second["access"]))

    def test_a_code_works_once(self):
        book = Book(3600, revoke_on_reuse=False)
        code = book.mint_code("claude")
        with self.assertRaises(Refused):
            book.spend_code("codex", code)
        book.spend_code("claude", code)
        with self.assertRaises(Refused):
            book.spend_code("claude", code)

    def test_keys_stand_until_the_end(self):
        book = Book(3600, revoke_on_reuse=False)
        key = book.mint_key("claude", "key")
        book.expire()
        book.revoke()
        self.assertTrue(book.accepts(key))


if __name__ == "__main__":
    unittest.main()
