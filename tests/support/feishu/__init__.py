"""Feishu as far as Scopebot uses it: its OpenAPI, its long connection, its callbacks, and what people do there."""
