"""Logs and metrics: ids, states, numbers; never content."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator

import structlog
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from eme_connector.bootstrap import Eme
from eme_connector.config import Log
from eme_connector.errors import EmeError

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_log = structlog.get_logger("eme.web")


def set_up_logs(config: Log) -> None:
    """Write structured logs to standard error as *config* says."""
    level = getattr(logging, config.level.upper())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if config.format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # the library's own formatter shows local variables, and secrets among them
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "eme_requests_total", "Requests", ["endpoint", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "eme_request_seconds", "Time to answer", ["endpoint"], buckets=_BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self.threats = Counter(
            "eme_threats_received_total", "Detections taken in", ["kind", "decided"],
            registry=self.registry,
        )  # fmt: skip
        self.decisions = Counter(
            "eme_decisions_total", "Decisions of people", ["status"], registry=self.registry
        )
        self.streams = Gauge(
            "eme_live_streams", "Open streams of pages", registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip

        self._kept: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Count one request."""
        kept = self._kept.get((endpoint, status))
        if kept is None:
            kept = self.requests.labels(endpoint, str(status)), self.seconds.labels(endpoint)
            self._kept[endpoint, status] = kept
        kept[0].inc()
        kept[1].observe(seconds)

    def render(self, eme: Eme) -> Response:
        """Return what all processes of this server counted, and what stands in the store now."""
        counted = self.registry
        if SHARED_FOLDER in os.environ:
            MultiProcessCollector(counted := CollectorRegistry())  # type: ignore[no-untyped-call]
        standing = CollectorRegistry()
        standing.register(_Standing(eme))
        text = generate_latest(counted) + generate_latest(standing)
        return Response(text, content_type=CONTENT_TYPE_LATEST)


class _Standing:
    """What stands in the store now: read when asked, the same in every process."""

    def __init__(self, eme: Eme) -> None:
        self._eme = eme

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        found = GaugeMetricFamily(
            "eme_deliveries", "Deliveries by lane and state", labels=["lane", "state"]
        )
        for (lane, state), number in self._eme.store.delivery_counts().items():
            found.add_metric([lane, str(state)], number)
        yield found
        if self._eme.config.redis is not None:
            answers = _answers(self._eme.shared.ping)
            yield GaugeMetricFamily("eme_redis_up", "1 while Redis answers", value=answers)


def _answers(ping: Callable[[], None]) -> bool:
    try:
        ping()
    except EmeError:
        return False
    return True


def install(app: Flask, eme: Eme) -> Metrics:
    """Log and count every request of *app*."""
    metrics = Metrics()
    app.extensions["eme-metrics"] = metrics

    @app.before_request
    def _begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def _end(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("began", time.perf_counter())
        endpoint = request.endpoint or "none"
        metrics.count(endpoint, response.status_code, seconds)
        if eme.config.log.level in ("debug", "info"):
            caller = g.get("caller")
            _log.info(
                "request",
                method=request.method,
                endpoint=endpoint,
                status=response.status_code,
                ms=round(seconds * 1000, 1),
                caller=caller.id if caller else None,
            )
        return response

    return metrics
