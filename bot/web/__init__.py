"""Run pages, reports, health and metrics."""
