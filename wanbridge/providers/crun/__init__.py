"""The adapter for Crun, and what it offers outside; its parts are files by subject."""

from wanbridge.providers.crun.adapter import (
    INPUT,
    Crun,
    Options,
    SchemaCheck,
    WireName,
    check_schema,
)

__all__ = ["INPUT", "Crun", "Options", "SchemaCheck", "WireName", "check_schema"]
