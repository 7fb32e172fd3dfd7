"""Pictures as bytes: what they say of themselves, made acceptable, marked; no file, no socket."""
