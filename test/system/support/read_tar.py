"""Prints what tarfile finds in archives: for each path on standard input a line of JSON, an array of members or null."""

import hashlib
import json
import sys
import tarfile

TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.LNKTYPE: "link",
    tarfile.SYMTYPE: "symlink",
    tarfile.DIRTYPE: "directory",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
}


# Contents of files that are not larger are read.
MOST = 1 << 26


def raw(text):
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def described(archive, member):
    kind = TYPES.get(member.type, "unknown")
    is_file = kind == "file"
    is_read = is_file and member.size <= MOST
    contents = archive.extractfile(member).read() if is_read else b""
    return {
        "name": raw(member.name),
        "type": kind,
        "mode": member.mode & 0o7777,
        "uid": member.uid,
        "gid": member.gid,
        "size": len(contents) if is_read else member.size if is_file else 0,
        "seconds": int(member.mtime // 1),
        "target": raw(member.linkname) if kind in ("link", "symlink") else "",
        "digest": hashlib.sha256(contents).hexdigest() if is_read else "",
    }


def read(path):
    try:
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as archive:
            return [described(archive, member) for member in archive]
    except (tarfile.TarError, ValueError, OSError, OverflowError, EOFError):
        return None


for line in sys.stdin:
    print(json.dumps(read(line.rstrip("\n"))))
