"""Networks of containers: what they may be, and what carries them outside of the jail."""
