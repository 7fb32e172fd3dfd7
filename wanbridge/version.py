"""The version, said once for the library; pyproject reads it from here."""

__version__ = "0.1.0"
