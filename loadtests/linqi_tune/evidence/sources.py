"""All evidence of one call: read from its sources, and combined for the tuner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from linqi.config.reader import load
from linqi.config.schema import Config
from linqi.errors import ConfigurationError
from linqi_tune.evidence.access_log import LogMeasurements, LogSource, read_logs
from linqi_tune.evidence.bench_result import read_bench
from linqi_tune.evidence.log_remarks import remarks_on_log
from linqi_tune.evidence.log_selection import LogSelection
from linqi_tune.evidence.metrics import MetricMeasurements, read_metrics
from linqi_tune.evidence.prometheus_server import PrometheusSource, read_prometheus
from linqi_tune.evidence.storm_result import StormMeasurements, read_storm
from linqi_tune.model.measurements import REFERENCE_COSTS, CurrentSettings, Measurements, Targets

__all__ = ["Evidence", "Sources", "collect_evidence", "current_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files that the evidence is read from.

    Attributes:
        logs: Access logs by name or by pattern, in any order.
        log_format: A format by name, a format string, or empty to detect it.
        log_session: The field that names the person.
        log_time: The field with the time, if it has no usual name.
        exclude: What to leave out of the logs; see `LogSelection`.
        only: What alone to keep of the logs.
        with_traffic: Whether to read from the logs what was requested, for a workload.
        quiet_paths: Paths whose requests extend no session, beside those of the configuration.
        metrics: Metrics in the text format of Prometheus.
        prometheus: A Prometheus server that has these metrics; not both.

    """

    config: Path | None = None
    bench: Path | None = None
    storm: Path | None = None
    logs: Sequence[str | Path] = ()
    log_format: str = ""
    log_session: str = ""
    log_time: str = ""
    exclude: Sequence[str] = ()
    only: Sequence[str] = ()
    with_traffic: bool = False
    quiet_paths: Sequence[str] = ()
    metrics: Path | None = None
    prometheus: PrometheusSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The measurements, what they were read from, and remarks on the sources."""

    measurements: Measurements
    config: Config | None
    storm: StormMeasurements | None
    log: LogMeasurements | None = None
    remarks: tuple[str, ...] = field(default=())


def collect_evidence(
    sources: Sources,
    targets: Targets,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Evidence:
    """Read all `sources`.

    The gaps of a log take precedence over those of a storm, as they come from real users; exported
    lags take precedence over a storm's. `progress` is called with the bytes of the logs that were
    read, and with all.

    Raises:
        ConfigurationError: A file is of another kind, has no figures, or is a void storm; an option
            of the logs is none.
        UnreadableLog: Most lines of the logs are malformed, or none names a session.

    """
    config = load(sources.config) if sources.config is not None else None
    storm = read_storm(sources.storm) if sources.storm is not None else None
    if storm is not None and not storm.is_valid:
        raise ConfigurationError(
            [f"{sources.storm} is void: the generator did not keep up, so its figures mean nothing"]
        )
    current = _current(config, storm, targets)
    log = None
    if sources.logs:
        log = read_logs(
            _log_source(sources, () if config is None else config.paths.quiet),
            lifetime=current.lifetime,
            buffer=current.buffer,
            progress=progress,
        )
    metrics = _metrics(sources)
    measurements = Measurements(
        costs=REFERENCE_COSTS if sources.bench is None else read_bench(sources.bench),
        served=storm.served if storm else None,
        visitors=log.visitors if log else storm.visitors if storm else None,
        histories=log.histories if log else None,
        current=current,
        targets=targets,
    )
    if metrics is not None:
        measurements = replace(measurements, lags=metrics.lags, lags_source=metrics.source)
    elif storm is not None and log is None:
        measurements = replace(
            measurements,
            lags=storm.lags,
            lags_by_session=storm.lags_by_session,
            lags_source=storm.served.source,
        )
    return Evidence(
        measurements=measurements,
        config=config,
        storm=storm,
        log=log,
        remarks=(
            *(() if log is None else remarks_on_log(log, (*sources.exclude, *sources.only))),
            *_of_metrics(metrics),
        ),
    )


def _metrics(sources: Sources) -> MetricMeasurements | None:
    if sources.metrics is not None and sources.prometheus is not None:
        raise ConfigurationError(["--metrics and --prometheus hold the same lags, expected one"])
    if sources.prometheus is not None:
        return read_prometheus(sources.prometheus)
    return None if sources.metrics is None else read_metrics(sources.metrics)


def _log_source(sources: Sources, quiet: Sequence[str]) -> LogSource:
    return LogSource(
        paths=sources.logs,
        format=sources.log_format,
        session=sources.log_session,
        time=sources.log_time,
        quiet=(*sources.quiet_paths, *quiet),
        selection=LogSelection(sources.exclude, sources.only),
        with_traffic=sources.with_traffic,
    )


def _current(
    config: Config | None, storm: StormMeasurements | None, targets: Targets
) -> CurrentSettings:
    """Return the settings in force: from the file, else from the storm, else the defaults."""
    current = CurrentSettings() if config is None else current_settings(config)
    if storm is None:
        return current if not targets.algorithm else replace(current, algorithm=targets.algorithm)
    if config is None:
        policy, _, width = storm.served.policy.partition(" ")
        current = replace(
            current,
            lifetime=storm.lifetime,
            buffer=storm.buffer,
            policy=policy or "grid",
            jitter_width=float(width) if width else current.jitter_width,
            has_store=storm.mode == "dual",
            slides=storm.mode != "dual",
        )
    if config is None or not config.keys.algorithm:
        current = replace(current, algorithm=storm.served.algorithm)
    return current


def current_settings(config: Config) -> CurrentSettings:
    """Return the settings of `config` that the tuner knows; no key file is read."""
    renewal, cache = config.renewal, config.cache
    listed = [alg for issuer in config.issuers for alg in issuer.algorithms]
    return CurrentSettings(
        lifetime=float(renewal.lifetime_seconds),
        buffer=float(renewal.buffer_seconds),
        policy=renewal.policy,
        jitter_width=renewal.jitter_width,
        max_session=float(renewal.max_session_seconds),
        algorithm=config.keys.algorithm or next(iter(listed), None) or "ES256",
        cache_entries=cache.max_entries if cache.enabled else 1,
        cache_bytes=cache.max_bytes,
        cache_lifetime=float(cache.lifetime_seconds),
        budget=config.budget.renewals_per_second,
        burst=float(config.budget.burst),
        off_loop=None if config.signing.off_loop == "auto" else config.signing.off_loop,
        has_store=config.has_store,
        # Not `Config.slides`: without a store only sliding can be advised on.
        slides=config.renewal.sliding is True or not config.has_store,
        idle=float(config.sessions.idle_seconds),
        absolute=float(config.sessions.absolute_seconds),
        has_issuers=bool(config.issuers),
        stale_after=float(config.store.stale_after_seconds),
        grace=float(config.sessions.grace_seconds),
    )


def _of_metrics(metrics: MetricMeasurements | None) -> Iterator[str]:
    if metrics is None:
        return
    yield f"{metrics.lags.total:,.0f} renewal lags of {metrics.series} instances."
    if metrics.is_censored:
        yield (
            "linqi_expired_presented_total is missing: without the expired tokens that were"
            " presented the lags end at the buffer, and losses read too low."
        )
