"""Thin functions over Linux system calls that Python's own library lacks.

Each does one call and raises OSError(errno, text, object). Standard library only; the one place
for ctypes.
"""
