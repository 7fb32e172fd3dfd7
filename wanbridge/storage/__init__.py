"""Files of pictures: those that callers hold, those that are saved, and their names."""
