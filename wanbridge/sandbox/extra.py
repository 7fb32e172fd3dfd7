"""The error of an installation without the sandbox's libraries."""

from __future__ import annotations


def missing_extra(error: ImportError) -> ImportError:
    """*error*, with the remedy in words."""
    return ImportError(
        f"the sandbox needs {error.name or 'more libraries'}: pip install 'wanbridge[sandbox]'",
        name=error.name,
    )
