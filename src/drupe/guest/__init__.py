"""The host's end of the guest protocol. Everything that comes from the guest is hostile."""
