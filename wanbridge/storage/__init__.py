"""Files and object stores: where pictures are read from and kept, and under which names."""
