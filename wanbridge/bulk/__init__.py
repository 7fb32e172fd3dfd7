"""Many requests at once: files of them are read here; what runs them is not HTTP or money."""
