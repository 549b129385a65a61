"""Decides what to do: understands requests, checks policy, plans runs, says what is said. Knows no chat SDK."""
