"""The adapter for Crun, and what it offers outside; its parts are files by subject."""

from wanbridge.providers.crun.adapter import Crun, Options
from wanbridge.providers.crun.input import INPUT, SchemaCheck, WireName, check_schema

__all__ = ["INPUT", "Crun", "Options", "SchemaCheck", "WireName", "check_schema"]
