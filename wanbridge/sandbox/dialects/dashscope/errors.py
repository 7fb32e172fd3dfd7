"""DashScope's error codes and the HTTP status of each: one table, in groups that switches draw on.

Source: https://help.aliyun.com/zh/model-studio/error-code, read 2026-11-20. Three statuses are
not from there: ``Throttling.Concurrency`` is known from third parties only, ``ServiceUnavailable``
and ``GatewayTimeout`` from the provider's Python SDK.
"""

from __future__ import annotations

from typing import Final

from attrs import define

# The first of each group is what the sandbox says unless a switch chooses another.
REQUEST: Final = {
    "InvalidParameter": 400,
    "InvalidParameter.DataInspection": 400,
    "BadRequest.EmptyModel": 400,
    "UnsupportedOperation": 400,
    "InvalidApiKey": 401,
    "AccessDenied": 403,
    "ModelNotFound": 404,
    "model_not_supported": 404,
    "NotFound": 404,
}
CONTENT: Final = {
    "DataInspectionFailed": 400,
    "data_inspection_failed": 400,
    "IPInfringementSuspect": 400,
    "CustomRoleBlocked": 400,
    "FaqRuleBlocked": 400,
}
BILLING: Final = {
    "Arrearage": 400,
    "AllocationQuota.FreeTierOnly": 403,
    "CommodityNotPurchased": 429,
    "PrepaidBillOverdue": 429,
    "PostpaidBillOverdue": 429,
}
THROTTLING: Final = {
    "Throttling.RateQuota": 429,
    "Throttling": 429,
    "Throttling.BurstRate": 429,
    "Throttling.AllocationQuota": 429,
    "Throttling.Concurrency": 429,
    "LimitRequests": 429,
    "insufficient_quota": 429,
}
SERVER: Final = {
    "InternalError.Algo": 500,
    "InternalError": 500,
    "InternalError.Timeout": 500,
    "InternalError.Upload": 500,
    "SystemError": 500,
    "ModelServiceFailed": 500,
    "RequestTimeOut": 500,
    "ModelServingError": 503,
    "ModelUnavailable": 503,
    "ServiceUnavailable": 503,
    "GatewayTimeout": 504,
}
STATUS: Final = {**REQUEST, **CONTENT, **BILLING, **THROTTLING, **SERVER}


@define(slots=False, eq=False)
class Refused(Exception):
    """The provider says no, at once or in a task: a code of ``STATUS`` and words for people."""

    code: str
    message: str


def invalid(message: str) -> Refused:
    """The code that nearly every wrong field gets."""
    return Refused("InvalidParameter", message)
