#!/usr/bin/env python3
"""terminal.py COLUMNS ROWS COMMAND …: runs a command in a terminal of that size; its output goes to standard output as it comes. Lines
"COLUMNS ROWS" on standard input change the size. Ends with the command's status."""
import fcntl
import os
import pty
import select
import struct
import sys
import termios


def resize(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))


pid, terminal = pty.fork()
if pid == 0:
    # the size is set before anything is drawn: the parent writes a line then
    sys.stdin.readline()
    os.execvp(sys.argv[3], sys.argv[3:])
resize(terminal, sys.argv[1], sys.argv[2])
attributes = termios.tcgetattr(terminal)
attributes[3] &= ~termios.ECHO
termios.tcsetattr(terminal, termios.TCSANOW, attributes)
os.write(terminal, b"\n")
sources = [terminal, sys.stdin.fileno()]
while True:
    ready, _, _ = select.select(sources, [], [])
    if sys.stdin.fileno() in ready:
        line = os.read(sys.stdin.fileno(), 100)
        if line:
            resize(terminal, *line.split()[-2:])
        else:
            sources.remove(sys.stdin.fileno())
    if terminal in ready:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        os.write(sys.stdout.fileno(), data)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
