"""One request for Wan 2.7 images, any provider, paid once.

>>> client = wanbridge.Client.from_env()
>>> result = client.generate("a red kite over dunes", n=2, provider="runware")
>>> client.save(result.images[0], "kite.png")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wanbridge.version import __version__

if TYPE_CHECKING:
    from wanbridge.adapters.base import Adapter
    from wanbridge.adapters.offers import Offer, PollInterval
    from wanbridge.adapters.registry import Registry
    from wanbridge.adapters.steps import (
        Cancelled,
        Done,
        Missing,
        NotAccepted,
        Pending,
        StillUnknown,
        TooLate,
    )
    from wanbridge.callbacks.receiver import CallbackReceiver
    from wanbridge.client.asynchronous import AsyncClient
    from wanbridge.client.blocking import Client
    from wanbridge.engine.context import Timeouts
    from wanbridge.engine.events import Accepted, Asking, Event, Polled, Retrying, Submitting
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
        StorageFailed,
        SubmissionUncertain,
        TaskLost,
        TransportFailed,
        UnknownProvider,
        UnsupportedFeature,
        WanbridgeError,
    )
    from wanbridge.explain.explanation import Explanation, FieldReport
    from wanbridge.ledger.memory import MemoryLedger
    from wanbridge.ledger.protocol import Ledger
    from wanbridge.ledger.sqlite import SqliteLedger
    from wanbridge.model.handles import handle
    from wanbridge.model.inputs import Box, InputImage
    from wanbridge.model.jobs import Job, Receipt
    from wanbridge.model.money import Money
    from wanbridge.model.notes import Note
    from wanbridge.model.palette import PaletteColor
    from wanbridge.model.picture_like import PictureLike
    from wanbridge.model.request import ImageRequest
    from wanbridge.model.result import Attempt, Failure, Image, ImageResult
    from wanbridge.model.size import Size
    from wanbridge.money.budgets import Budget
    from wanbridge.money.comparison import Total, Workload
    from wanbridge.money.exchange_rates import Rates
    from wanbridge.money.price_book import PriceBook
    from wanbridge.money.quotes import Quote
    from wanbridge.observability.opentelemetry import OpenTelemetry
    from wanbridge.routing.route import Route
    from wanbridge.storage.object_store import ObjectStore

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
    "ObjectStore",
    "Offer",
    "OpenTelemetry",
    "PaletteColor",
    "Pending",
    "PictureLike",
    "PollInterval",
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
    "StorageFailed",
    "SubmissionUncertain",
    "Submitting",
    "TaskLost",
    "Timeouts",
    "TooLate",
    "Total",
    "TransportFailed",
    "UnknownProvider",
    "UnsupportedFeature",
    "WanbridgeError",
    "Workload",
    "__version__",
    "handle",
]

# Where each name is, so that nothing is loaded before it is used: who only reads a stored
# job needs no HTTP library, and a command line no client for its --help.
_HOME = {
    "adapters.base": "Adapter",
    "adapters.offers": "Offer PollInterval",
    "adapters.registry": "Registry",
    "adapters.steps": "Cancelled Done Missing NotAccepted Pending StillUnknown TooLate",
    "callbacks.receiver": "CallbackReceiver",
    "client.asynchronous": "AsyncClient",
    "client.blocking": "Client",
    "engine.context": "Timeouts",
    "engine.events": "Accepted Asking Event Polled Retrying Submitting",
    "errors": (
        "AllProvidersFailed AuthenticationFailed BudgetExceeded CallFailed "
        "CallbackRefused Charge ConfigurationError ContentRefused CreditExhausted "
        "DeadlineExceeded DownloadFailed GenerationFailed InvalidRequest JobCancelled "
        "MalformedResponse MissingCredentials Problem ProviderError ProviderUnavailable "
        "RateLimited RequestRejected StorageFailed SubmissionUncertain TaskLost TransportFailed "
        "UnknownProvider UnsupportedFeature WanbridgeError"
    ),
    "explain.explanation": "Explanation FieldReport",
    "ledger.memory": "MemoryLedger",
    "ledger.protocol": "Ledger",
    "ledger.sqlite": "SqliteLedger",
    "model.handles": "handle",
    "model.inputs": "Box InputImage",
    "model.jobs": "Job Receipt",
    "model.picture_like": "PictureLike",
    "model.money": "Money",
    "model.notes": "Note",
    "model.palette": "PaletteColor",
    "model.request": "ImageRequest",
    "model.result": "Attempt Failure Image ImageResult",
    "model.size": "Size",
    "money.budgets": "Budget",
    "money.comparison": "Total Workload",
    "money.exchange_rates": "Rates",
    "money.price_book": "PriceBook",
    "money.quotes": "Quote",
    "observability.opentelemetry": "OpenTelemetry",
    "routing.route": "Route",
    "storage.object_store": "ObjectStore",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in ("errors", "sandbox"):
        return import_module(f"wanbridge.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'wanbridge' has no attribute {name!r}")
    value = getattr(import_module(f"wanbridge.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
