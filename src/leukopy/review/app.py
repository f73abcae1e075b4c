"""The web application of a review station."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import metadata

from fastapi import FastAPI
from joblib import cpu_count
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.review.api import API, api_router
from leukopy.review.exchange import ExchangeService
from leukopy.review.on_cluster import Cluster
from leukopy.review.pages import error_page, pages_router, static_folder
from leukopy.review.security import (
    BodyLimit,
    Headers,
    LogIns,
    OneTimeToken,
    TokenDoor,
    UnexpectedErrors,
    answer_errors_as_problems,
)
from leukopy.review.settings import ReviewSettings
from leukopy.review.station import Station
from leukopy.review.store import Store
from leukopy.review.worker import Worker
from leukopy.review.worker_process import WorkerProcess


def create_app(
    settings: ReviewSettings, cluster: Cluster | None = None, worker: type[Worker | WorkerProcess] = Worker
) -> FastAPI:
    """The application of a station: API, pages, and, while it runs, the worker that analyses cases and the exchange.

    The store is open from here on; it is closed, and the worker ended, when the application shuts down.

    Args:
        settings: of the station.
        cluster: classifies the cells of big cases.
        worker: analyses cases in a thread of this process, or in a process of its own.

    Raises:
        SettingsError, OutputError: the store cannot be opened.
    """
    store = Store.open(settings)
    station = Station(
        settings=settings,
        store=store,
        worker=worker(store, settings, cluster),
        logins=LogIns(settings.limits.logins_per_minute),
        hashing=ThreadPoolExecutor(max(1, cpu_count() // 2), "leukopy-passwords"),
        token=OneTimeToken(),
        exchange=ExchangeService(store, settings),
    )

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await station.exchange.start()
        station.worker.start()
        try:
            yield
            await station.exchange.stop()
        finally:  # a process that is left would hold this one
            await run_in_threadpool(station.worker.stop)
        station.hashing.shutdown(cancel_futures=True)
        store.close()

    app = FastAPI(
        title="leukopy review",
        description=RESEARCH_USE_ONLY,
        version=metadata.version("leukopy"),
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.station, app.state.store, app.state.settings = station, store, settings
    answer_errors_as_problems(app, error_page)
    app.include_router(api_router())
    app.include_router(pages_router())
    app.mount("/static", StaticFiles(directory=static_folder()), name="static")
    _guard(app, station)
    return app


def _guard(app: FastAPI, station: Station) -> None:
    """Middleware of every request, from the inside out."""
    if not station.settings.serve:
        app.add_middleware(TokenDoor, token=station.token, store=station.store, settings=station.settings)
    app.add_middleware(BodyLimit, upload_bytes=station.settings.limits.upload_bytes)
    app.add_middleware(UnexpectedErrors, page=error_page)
    app.add_middleware(Headers, https=station.settings.https)
