#!/usr/bin/env python3
"""Runs COMMAND on a terminal of its own and plays a person at it.

  terminal.py [--see TEXT --type KEYS]... -- COMMAND...

Waits for each TEXT on the screen, in order, then types KEYS (`\\r` is Enter). Prints what appears as plain lines;
ends with COMMAND's status, or with 99 if the terminal closed before every TEXT was seen.
"""

import argparse
import fcntl
import os
import pty
import re
import struct
import sys
import termios

ROWS, COLUMNS = 40, 140
FORWARD = re.compile(rb"\x1b\[\d*[CG]")
CONTROL = re.compile(rb"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-9;?<>=]*[ -/]*[@-~]|\x1b[@-Z\\^_=>78]|\x1b[()].")


def plain(screen):
    """Text without control sequences; a cursor that skips columns leaves a blank."""
    text = CONTROL.sub(b"", FORWARD.sub(b" ", screen)).replace(b"\r", b"\n")
    return "\n".join(line.rstrip() for line in text.decode(errors="replace").splitlines() if line.strip())


def play(terminal, steps):
    """Reads the terminal to its end and takes the steps on the way; gives the steps that are left."""
    unseen = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # EIO: the last process that held the other side is gone
            return steps
        if not chunk:
            return steps
        unseen += chunk
        print(plain(chunk), flush=True)
        while steps and steps[0][0] in plain(unseen):
            _, keys = steps.pop(0)
            unseen = b""
            os.write(terminal, keys.encode().decode("unicode_escape").encode())


def main():
    """Parses, forks, plays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--see", action="append", default=[])
    parser.add_argument("--type", action="append", default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execvp(options.command[0], options.command)
    left = play(terminal, list(zip(options.see, options.type)))
    _, status = os.waitpid(pid, 0)
    if left:
        print(f"terminal: never saw {left[0][0]!r}", file=sys.stderr)
        sys.exit(99)
    sys.exit(os.waitstatus_to_exitcode(status) % 256)


if __name__ == "__main__":
    main()
