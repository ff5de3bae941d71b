"""The verbs of ``drupe-runtime``, a module each: ``OPTIONS`` and ``main``."""
