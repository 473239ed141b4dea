"""Standard error that an agent controls: both ends of it are the agent's.

stderr.py start KIND PROGRAM ARGUMENT...  becomes the program, with a standard error of this kind whose other end is
                                          descriptor 9
stderr.py agent KIND MODE GATE            the agent: waits at the gate, then does what the mode says
"""

import fcntl
import os
import pty
import signal
import socket
import sys
import termios
import time
import tty

OTHER = 9
FILE = "claude-stderr"


def start(kind, command):
    if kind == "terminal":
        other, ours = pty.openpty()
        tty.setraw(ours)
    elif kind == "pipe":
        other, ours = os.pipe()
    elif kind == "socket":
        one, two = socket.socketpair()
        other, ours = one.detach(), two.detach()
    else:
        ours = os.open(FILE, os.O_CREAT | os.O_WRONLY, 0o600)
        other = os.open(FILE, os.O_RDONLY)
    os.dup2(other, OTHER)
    os.dup2(ours, 2)
    for fd in (2, OTHER):
        os.set_inheritable(fd, True)
    os.execvp(command[0], command)


class Agent:
    def __init__(self, kind):
        self.kind = kind
        # The other end is ours alone: making it non-blocking changes nobody else's writes.
        fcntl.fcntl(OTHER, fcntl.F_SETFL, fcntl.fcntl(OTHER, fcntl.F_GETFL) | os.O_NONBLOCK)
        self.seen = b""
        self.path = os.environ["CLAUDE_CONFIG_DIR"] + "/.credentials.json"
        with open(self.path) as file:
            self.login = file.read()
        self.count = 0

    def stop(self):
        """Nobody can write to standard error any more."""
        if self.kind == "terminal":
            termios.tcflow(2, termios.TCOOFF)
        elif self.kind == "pipe":
            fill(os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK))
        elif self.kind == "socket":
            fill_socket()

    def release(self):
        if self.kind == "terminal":
            termios.tcflow(2, termios.TCOON)
        self.drain()

    def drain(self):
        while True:
            try:
                chunk = os.read(OTHER, 65536)
            except (BlockingIOError, OSError):
                return
            if not chunk:
                return
            self.seen += chunk

    def refresh(self):
        """A login that is published, which is a message with -v."""
        self.count += 1
        with open(self.path + ".new", "w") as file:
            file.write(self.login.replace("FAKE-access-a", f"FAKE-access-{self.count}"))
        os.rename(self.path + ".new", self.path)

    def is_reaped(self):
        """Whether PID 1 reaps an orphan, and so does anything at all."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            orphan = os.fork()
            if orphan == 0:
                os._exit(0)
            os.write(writer, str(orphan).encode())
            os._exit(0)
        os.waitpid(child, 0)
        orphan = int(os.read(reader, 32))
        os.close(reader)
        os.close(writer)
        return wait_until(lambda: not os.path.exists(f"/proc/{orphan}"), 10)


def wait_until(done, seconds):
    limit = time.monotonic() + seconds
    while not done():
        if time.monotonic() > limit:
            return False
        time.sleep(0.005)
    return True


def fill(fd):
    # Whole pages first, and then what is left.
    for size in (4096, 1):
        try:
            while True:
                os.write(fd, b"x" * size)
        except BlockingIOError:
            pass
    os.close(fd)


def fill_socket():
    end = socket.socket(fileno=os.dup(2))
    for size in (4096, 1):
        try:
            while True:
                end.send(b"x" * size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
    end.close()


def race(agent):
    """Stops standard error in the moment between a look at it and a write to it, whichever moment that is."""
    for step in range(60):
        agent.release()
        agent.refresh()
        time.sleep(step % 30 * 0.005)
        agent.stop()
        if not agent.is_reaped():
            print("frozen", flush=True)
            break
    # The stop signal finds it so.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("stopped", flush=True)
    while True:
        signal.pause()


def later(agent, capture):
    """What is said meanwhile comes once there is room."""
    agent.stop()
    for _ in range(20):
        agent.refresh()
        access = f"FAKE-access-{agent.count}"
        if not wait_until(lambda: access in open(capture).read(), 30):
            print(f"{access} is not published", flush=True)
    agent.release()
    came = wait_until(lambda: agent.drain() or agent.seen.count(b"published the login") >= 20, 30)
    print("came" if came else f"missing: {agent.seen.replace(b'x', b'')!r}", flush=True)
    agent.stop()
    sys.exit(7)


def main():
    if sys.argv[1] == "start":
        start(sys.argv[2], sys.argv[3:])
    kind, mode, gate = sys.argv[2:5]
    agent = Agent(kind)
    print("ready", flush=True)
    with open(gate) as file:
        file.readline()
    if mode == "race":
        race(agent)
    later(agent, sys.argv[5])


main()
