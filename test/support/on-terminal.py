"""Runs a program on a terminal of its own, as a shell does a job, and does to it what a person does.

Arguments: a JSON list of steps, then the program with its arguments. A step is one of
  {"expect": TEXT}   wait until the program has shown TEXT since the last such step
  {"type": TEXT}     type it
  {"kill": NUMBER}   send it a signal
  {"stopped": true}  wait until it has stopped
  {"go on": true}    let it go on, in the foreground
  {"run": WORDS}     run another program, which must succeed
Each step notes whether the terminal echoes after it. Prints JSON: what was shown, how it ended, the notes, and whether
the terminal echoes at the end.
"""

import json
import os
import pty
import signal
import subprocess
import sys
import termios

steps = json.loads(sys.argv[1])
report_read, report_write = os.pipe()
order_read, order_write = os.pipe()


def run_job():
    """Runs in the process that has the terminal: starts the job, and reports its pid, its stops and its end."""
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp(sys.argv[2], sys.argv[2:])
    os.write(report_write, b"%d\n" % job)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        os.write(report_write, b"stopped\n")
        os.read(order_read, 1)
        os.tcsetpgrp(0, job)
        os.killpg(job, signal.SIGCONT)
    os.write(report_write, b"%d\n" % os.waitstatus_to_exitcode(status))
    os.read(order_read, 1)
    os._exit(0)


pid, terminal = pty.fork()
if pid == 0:
    run_job()

reports = os.fdopen(os.dup(report_read), "r")
job = int(reports.readline())
shown = b""
seen = 0
notes = []


def echoes():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


for step in steps:
    if "expect" in step:
        wanted = step["expect"].encode()
        while wanted not in shown[seen:]:
            shown += os.read(terminal, 4096)
        seen = shown.index(wanted, seen) + len(wanted)
    elif "type" in step:
        os.write(terminal, step["type"].encode())
    elif "kill" in step:
        os.kill(job, step["kill"])
    elif "stopped" in step:
        assert reports.readline() == "stopped\n"
    elif "go on" in step:
        os.write(order_write, b"x")
    elif "run" in step:
        subprocess.run(step["run"], check=True, stdout=subprocess.DEVNULL)
    notes.append(echoes())

status = int(reports.readline())
last = echoes()
os.write(order_write, b"x")
try:
    while True:
        shown += os.read(terminal, 4096)
except OSError:
    pass
os.waitpid(pid, 0)
print(json.dumps({"shown": shown.decode(), "status": status, "notes": notes, "echoes": last}))
