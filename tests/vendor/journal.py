"""The log: one JSON line per request, and waiting for a request to come."""

import json
import threading
import time


class Journal:
    """Appends records to a file and wakes whoever waits for one."""

    def __init__(self, path):
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        self._records, self._changed, self._over = [], threading.Condition(), False

    def write(self, request, answer):
        """Records a request as its answer is known, before it is sent."""
        record = {
            "time": round(time.time(), 3),
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "bearer": request.bearer,
            "api_key": request.api_key,
            "refresh_token": request.refresh_token,
            "status": answer.status,
            "why": answer.why,
        }
        with self._changed:
            self._records.append(record)
            self._file.write(json.dumps(record) + "\n")
            self._changed.notify_all()

    def records(self, path=None):
        """All records, or those of one path."""
        with self._changed:
            return [record for record in self._records if path in (None, record["path"])]

    def wait(self, path, count, seconds):
        """The records of `path` once there are `count`; None after `seconds`, or if it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or len(self.records(path)) >= count, seconds)
            found = self.records(path)
            return found if len(found) >= count else None

    def set_over(self, over):
        """Whether nothing more is to be waited for."""
        with self._changed:
            self._over = over
            self._changed.notify_all()
