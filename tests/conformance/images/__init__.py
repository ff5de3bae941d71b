"""Application images made from Debian packages, with the configuration that one expects of them."""
