"""Files that pictures are saved in, and their names."""
