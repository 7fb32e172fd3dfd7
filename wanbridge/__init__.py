"""One request for Wan 2.7 images, any provider, paid once.

>>> client = wanbridge.Client.from_env()
>>> result = client.generate("a red kite over dunes", n=2, provider="runware")
>>> client.save(result.images[0], "kite.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wanbridge.version import __version__

if TYPE_CHECKING:
    from wanbridge.adapter import (
        Adapter,
        Cancelled,
        Done,
        Missing,
        NotAccepted,
        Offer,
        Pending,
        StillUnknown,
        TooLate,
    )
    from wanbridge.callbacks import CallbackReceiver
    from wanbridge.client import AsyncClient, Client
    from wanbridge.compare import Total, Workload
    from wanbridge.errors import (
        AllProvidersFailed,
        AuthenticationFailed,
        BudgetExceeded,
        CallbackRefused,
        CallFailed,
        Charge,
        ConfigurationError,
        ContentRefused,
        CreditExhausted,
        DeadlineExceeded,
        DownloadFailed,
        GenerationFailed,
        InvalidRequest,
        JobCancelled,
        MalformedResponse,
        MissingCredentials,
        Problem,
        ProviderError,
        ProviderUnavailable,
        RateLimited,
        RequestRejected,
        SubmissionUncertain,
        TaskLost,
        TransportFailed,
        UnknownProvider,
        UnsupportedFeature,
        WanbridgeError,
    )
    from wanbridge.explain import Explanation, FieldReport
    from wanbridge.ledger import Ledger, MemoryLedger
    from wanbridge.model import (
        Attempt,
        Box,
        Failure,
        Image,
        ImageRequest,
        ImageResult,
        InputImage,
        Job,
        Money,
        Note,
        PaletteColor,
        Receipt,
        Size,
    )
    from wanbridge.otel import OpenTelemetry
    from wanbridge.pricing import PriceBook, Quote
    from wanbridge.rates import Rates
    from wanbridge.registry import Registry
    from wanbridge.route import Budget, Route
    from wanbridge.sqlite_ledger import SqliteLedger
    from wanbridge.terms import (
        Accepted,
        Asking,
        Event,
        Patience,
        Polled,
        Retrying,
        Submitting,
    )

__all__ = [
    "Accepted",
    "Adapter",
    "AllProvidersFailed",
    "Asking",
    "AsyncClient",
    "Attempt",
    "AuthenticationFailed",
    "Box",
    "Budget",
    "BudgetExceeded",
    "CallFailed",
    "CallbackReceiver",
    "CallbackRefused",
    "Cancelled",
    "Charge",
    "Client",
    "ConfigurationError",
    "ContentRefused",
    "CreditExhausted",
    "DeadlineExceeded",
    "Done",
    "DownloadFailed",
    "Event",
    "Explanation",
    "Failure",
    "FieldReport",
    "GenerationFailed",
    "Image",
    "ImageRequest",
    "ImageResult",
    "InputImage",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "Ledger",
    "MalformedResponse",
    "MemoryLedger",
    "Missing",
    "MissingCredentials",
    "Money",
    "NotAccepted",
    "Note",
    "Offer",
    "OpenTelemetry",
    "PaletteColor",
    "Patience",
    "Pending",
    "Polled",
    "PriceBook",
    "Problem",
    "ProviderError",
    "ProviderUnavailable",
    "Quote",
    "RateLimited",
    "Rates",
    "Receipt",
    "Registry",
    "RequestRejected",
    "Retrying",
    "Route",
    "Size",
    "SqliteLedger",
    "StillUnknown",
    "SubmissionUncertain",
    "Submitting",
    "TaskLost",
    "TooLate",
    "Total",
    "TransportFailed",
    "UnknownProvider",
    "UnsupportedFeature",
    "WanbridgeError",
    "Workload",
    "__version__",
]

# Where each name is, so that nothing is loaded before it is used: who only reads a stored
# job needs no HTTP library, and a command line no client for its --help.
_HOME = {
    "adapter": "Adapter Cancelled Done Missing NotAccepted Offer Pending StillUnknown TooLate",
    "callbacks": "CallbackReceiver",
    "client": "AsyncClient Client",
    "compare": "Total Workload",
    "errors": (
        "AllProvidersFailed AuthenticationFailed BudgetExceeded CallbackRefused "
        "CallFailed Charge ConfigurationError ContentRefused CreditExhausted "
        "DeadlineExceeded DownloadFailed GenerationFailed InvalidRequest JobCancelled "
        "MalformedResponse MissingCredentials Problem ProviderError ProviderUnavailable "
        "RateLimited RequestRejected SubmissionUncertain TaskLost TransportFailed "
        "UnknownProvider UnsupportedFeature WanbridgeError"
    ),
    "explain": "Explanation FieldReport",
    "ledger": "Ledger MemoryLedger",
    "model": (
        "Attempt Box Failure Image ImageRequest ImageResult InputImage Job Money Note "
        "PaletteColor Receipt Size"
    ),
    "otel": "OpenTelemetry",
    "pricing": "PriceBook Quote",
    "rates": "Rates",
    "registry": "Registry",
    "route": "Budget Route",
    "sqlite_ledger": "SqliteLedger",
    "terms": "Accepted Asking Event Patience Polled Retrying Submitting",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _HOME or name == "sandbox":
        return import_module(f"wanbridge.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'wanbridge' has no attribute {name!r}")
    value = getattr(import_module(f"wanbridge.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
