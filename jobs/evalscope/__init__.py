"""EvalScope behind one `Engine`: check, run, collect. Imported by workers only."""
