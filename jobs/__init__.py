"""Runs EvalScope: the store, the queue, the workers and the engines. Knows no chat at all."""
