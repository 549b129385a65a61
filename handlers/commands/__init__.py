"""One file per intent; see `handlers.registry`."""
