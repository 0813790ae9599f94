"""Who came, who went, what became of processors: told once each, on disk before it is told."""
