"""Neutral messages → what a platform shows. Pure functions."""
