"""HTTP over blocking and async sockets; the only code that names the HTTP library."""
