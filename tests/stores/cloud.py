"""What the stand-ins for gcloud and az have in common: a file of state, one command at a time."""

import contextlib
import fcntl
import json
import os

DIRECTORY = os.environ.get("FAKE_CLOUD", "")
DENIED = "FAKE_CLOUD_DENIED" in os.environ


@contextlib.contextmanager
def state():
    """The state, {} at first, written back when the command has done; an exception leaves it as it was."""
    path = os.path.join(DIRECTORY, "state.json")
    with open(os.path.join(DIRECTORY, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
        except FileNotFoundError:
            kept = {}
        yield kept
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(kept, file)
        os.replace(path + ".new", path)
