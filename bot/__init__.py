"""Talks to people: the `scopebot` command, the chat platforms, rendering and the web pages."""
