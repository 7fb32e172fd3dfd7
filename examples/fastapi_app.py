"""A web application that makes pictures: one client for all requests, a route, and callbacks.

    WANBRIDGE_CONFIG=wanbridge.toml uvicorn fastapi_app:app
    curl localhost:8000/pictures -H 'content-type: application/json' -d '{"prompt": "a red kite"}'

Accounts, ``[routes.default]``, ``[ledger]`` and ``[callbacks]`` stand in the file. Providers call
``<base_url of [callbacks]>/...``, which a proxy passes on to ``/hooks/...`` here; a call ends the
wait for the next poll.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

import wanbridge

CONFIG = os.environ.get("WANBRIDGE_CONFIG", "wanbridge.toml")
receiver = wanbridge.CallbackReceiver.from_config(CONFIG)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with wanbridge.AsyncClient.from_config(CONFIG, callbacks=receiver) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/hooks", receiver.app)


class Order(BaseModel):
    """What a visitor asks for."""

    prompt: str
    n: int = 1
    size: str = "1:1@1K"


@app.post("/pictures")
async def make_pictures(order: Order, request: Request) -> dict[str, Any]:
    client: wanbridge.AsyncClient = request.app.state.client
    result = await client.generate(order.prompt, n=order.n, size=order.size, deadline=120)
    return {
        "provider": result.provider,
        "pictures": [image.url for image in result.images],
        "cost": str(result.cost),
        "missing": result.shortfall,
    }


@app.exception_handler(wanbridge.WanbridgeError)
async def explain_failure(request: Request, exc: wanbridge.WanbridgeError) -> JSONResponse:
    match exc:
        case wanbridge.InvalidRequest() | wanbridge.UnsupportedFeature():
            status = 422
        case wanbridge.BudgetExceeded():
            status = 402
        case wanbridge.ContentRefused():
            status = 403
        case _:
            status = 502
    # What may be bought all the same: the job goes on, the receipt can be reconciled.
    kept = wanbridge.handle(exc)
    goes_on = None if kept is None else f"{type(kept).__name__} {kept.to_json()}"
    return JSONResponse({"error": str(exc), "go_on_with": goes_on}, status)
