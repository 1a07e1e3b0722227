"""Runs a program to which the kernel refuses io_uring_setup(2), as the seccomp filters of container engines do."""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP, EPERM = 425, 1
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000


def instruction(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)


rules = (
    instruction(0x20, 0, 0, 0)  # Load the number of the system call.
    + instruction(0x15, 0, 1, IO_URING_SETUP)  # If it is this one, go on, else leave one out.
    + instruction(0x06, 0, 0, SECCOMP_RET_ERRNO | EPERM)
    + instruction(0x06, 0, 0, SECCOMP_RET_ALLOW)
)
buffer = ctypes.create_string_buffer(rules, len(rules))
program = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong]
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, None, 0, 0) != 0 or libc.prctl(
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0
):
    raise OSError(ctypes.get_errno(), "prctl")
os.execvp(sys.argv[1], sys.argv[1:])
