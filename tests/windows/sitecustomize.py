"""Supplies complex functions that numpy calls and that Wine 10 has as stubs which abort; real Windows is left alone.

Each stub is overwritten in memory by the function's x64 code. A `_Dcomplex` is passed by address (RCX), an `_Fcomplex`
in RCX itself; the result goes into XMM0.
"""

import ctypes
import sys
from typing import Any

STUB = b"\x48\x83\xec\x28"  # sub rsp, 40: how Wine's stubs begin
PAGE_EXECUTE_READWRITE = 0x40
REAL = b"\xf2\x0f\x10\x01\xc3"  # movsd xmm0, [rcx]; ret
IMAGINARY = b"\xf2\x0f\x10\x41\x08\xc3"  # movsd xmm0, [rcx+8]; ret
CODE = {
    "creal": REAL,
    "creall": REAL,
    "crealf": b"\x66\x0f\x6e\xc1\xc3",  # movd xmm0, ecx; ret
    "cimag": IMAGINARY,
    "cimagl": IMAGINARY,
    "cimagf": b"\x48\xc1\xe9\x20\x66\x0f\x6e\xc1\xc3",  # shr rcx, 32; movd xmm0, ecx; ret
}


def supply(protect: Any) -> None:
    """Needs the function that makes memory writable."""
    runtime = ctypes.CDLL("ucrtbase")
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_ulong, ctypes.POINTER(ctypes.c_ulong)]
    before = ctypes.c_ulong()
    for name, code in CODE.items():
        address = ctypes.cast(getattr(runtime, name), ctypes.c_void_p).value
        if address and ctypes.string_at(address, len(STUB)) == STUB:
            protect(address, len(code), PAGE_EXECUTE_READWRITE, ctypes.byref(before))
            ctypes.memmove(address, code, len(code))
            protect(address, len(code), before.value, ctypes.byref(before))


if sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version"):
    supply(ctypes.WinDLL("kernel32").VirtualProtect)
