"""Holds the records of a file, parsed, and on SIGUSR1 reads all of them and says their sum: FILE READY REPORTS."""
import json
import signal
import sys

source, ready, reports = sys.argv[1:]
with open(source) as lines:
    records = [json.loads(line) for line in lines]


def total() -> int:
    found = 0
    for record in records:
        found += record["id"] + len(record["token"]) + len(record["name"]) + len(record["mail"]) + len(record["note"])
        for order in record["orders"]:
            found += order["count"] + len(order["sku"])
    return found


# A signal that is waited for is not lost where it comes before the process waits again.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
open(ready, "w").close()
while signal.sigwait([signal.SIGUSR1]):
    with open(reports, "w") as pipe:
        pipe.write(f"{total()}\n")
