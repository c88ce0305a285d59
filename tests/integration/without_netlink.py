"""Runs a program in a sandbox that has no netlink: without_netlink.py PROGRAM ARGUMENT...

A seccomp filter, inherited by everything the program starts, lets socket(AF_NETLINK, ...) fail."""

import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
AF_NETLINK, EAFNOSUPPORT = 16, 97
SYS_SOCKET = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
# struct seccomp_data: number at 0, the first argument at 16.
PROGRAM = [
    (LOAD, 0, 0, 0),
    (EQUAL, 0, 3, SYS_SOCKET),
    (LOAD, 0, 0, 16),
    (EQUAL, 0, 1, AF_NETLINK),
    (RETURN, 0, 0, ERRNO | EAFNOSUPPORT),
    (RETURN, 0, 0, ALLOW),
]


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


code = b"".join(struct.pack("=HBBI", *instruction) for instruction in PROGRAM)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
program = Filter(len(PROGRAM), code)
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0, \
    os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
