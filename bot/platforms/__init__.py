"""One file per chat platform, behind one ABC."""
