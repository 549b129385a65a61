"""Text → typed request: a deterministic grammar, slash commands and pasted command lines."""
