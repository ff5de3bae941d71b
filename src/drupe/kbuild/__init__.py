"""Kernels and guests: obtained, patched, configured, built, and found again.

Modules are imported where they are needed: finding a kernel must not cost what building one does.
``kernels.find_kernel`` and ``kernels.find_initramfs`` are what the platforms call.
"""
