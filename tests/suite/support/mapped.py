#!/usr/bin/env python3
"""Runs COMMAND as root of a user namespace of its own, as rootless engines do; needs root.

  mapped.py OUTSIDE COUNT COMMAND...     ids 0 up to COUNT in there are OUTSIDE and the following out here
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000


def main():
    """Forks: only one outside may write a map of more than one id."""
    outside, count, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    made, make = os.pipe()
    mapped, map_ = os.pipe()
    pid = os.getpid()
    if os.fork() == 0:
        os.read(made, 1)
        # setgroups(2) stays allowed: it is root who writes.
        for file in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{file}", "w", encoding="ascii") as file:
                file.write(f"0 {outside} {count}\n")
        os.write(map_, b"\n")
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"mapped.py: unshare: {os.strerror(ctypes.get_errno())}")
    os.write(make, b"\n")
    os.read(mapped, 1)
    os.wait()
    os.setgroups([])
    os.setgid(0)
    os.setuid(0)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
