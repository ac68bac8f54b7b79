//! What the process tells Prometheus.
//!
//! Label values are resolved when the server is put together, not per request: a request looks its route up once by
//! template and then only adds to counters. A series appears when it first counts something, so that hundreds of
//! routes do not print thousands of zeros.
//!
//! Routes are templates (`/api/v1/orders/{id}`), never paths, so the number of series does not depend on clients.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{Method, StatusCode};
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    core::Collector,
};
use rustc_hash::FxHashMap;

/// Upper bounds of the duration histogram in seconds, from half a millisecond to ten seconds.
const DURATIONS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The label of requests that match no route.
const UNMATCHED: &str = "unmatched";
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The registry of the process and the instruments of the edge. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    rate_limited: IntCounterVec,
    connections: ConnectionMetrics,
}

impl Metrics {
    /// `version` is that of the binary, `started` the process's start since the Unix epoch.
    pub fn new(version: &str, started: Duration) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(
                Opts::new(
                    "plinth_http_requests_total",
                    "HTTP requests answered, by method, route template and class of status.",
                ),
                &["method", "route", "status"],
            )?,
            durations: HistogramVec::new(
                HistogramOpts::new(
                    "plinth_http_request_duration_seconds",
                    "Time from a request's head to its response's head, by route template.",
                )
                .buckets(DURATIONS.to_vec()),
                &["route"],
            )?,
            in_flight: IntGauge::new("plinth_http_requests_in_flight", "HTTP requests being worked on.")?,
            rate_limited: IntCounterVec::new(
                Opts::new("plinth_http_rate_limited_total", "HTTP requests refused for their rate, by limiter."),
                &["limiter"],
            )?,
            connections: ConnectionMetrics::new()?,
        };
        metrics.register(&metrics.requests)?;
        metrics.register(&metrics.durations)?;
        metrics.register(&metrics.in_flight)?;
        metrics.register(&metrics.rate_limited)?;
        metrics.register(&metrics.connections.open)?;
        metrics.register(&metrics.connections.accepted)?;
        metrics.register(&metrics.connections.ended)?;
        metrics.register_process(version, started)?;
        Ok(metrics)
    }

    fn register_process(&self, version: &str, started: Duration) -> Result<(), prometheus::Error> {
        let start = Gauge::new("process_start_time_seconds", "Start of the process in seconds since the Unix epoch.")?;
        start.set(started.as_secs_f64());
        self.register(&start)?;
        let build = IntGauge::with_opts(
            Opts::new("plinth_build_info", "Always 1; the labels say what is running.").const_label("version", version),
        )?;
        build.set(1);
        self.register(&build)
    }

    fn register(&self, collector: &(impl Collector + Clone + 'static)) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(collector.clone()))
    }

    /// Where other parts of the process register collectors of their own. Names begin with `plinth_`, counters end in
    /// `_total`, units are seconds and bytes.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// For [`crate::listener::Listener::observed_by`].
    pub fn connections(&self) -> ConnectionMetrics {
        self.connections.clone()
    }

    /// The counter of refusals of one limiter, to be kept by it.
    pub fn rate_limited(&self, limiter: &str) -> IntCounter {
        self.rate_limited.with_label_values(&[limiter])
    }

    /// The handles of these routes, to be built once from everything that is mounted.
    pub fn routes<'a>(&self, routes: impl IntoIterator<Item = (Method, &'a str)>) -> RouteTable {
        let mut table = RouteTable { by_template: FxHashMap::default(), all: Vec::new(), unmatched: Vec::new() };
        for method in METHODS.iter().chain(&["OTHER"]) {
            let added = table.add(self, method, UNMATCHED);
            table.unmatched.push(added);
        }
        for (method, template) in routes {
            let slot = method_slot(&method);
            let known = table.by_template.get(template).is_some_and(|slots| slots[slot].is_some());
            if !known {
                let added = table.add(self, method_name(slot), template);
                table.by_template.entry(template.into()).or_default()[slot] = Some(added);
            }
        }
        table
    }

    /// Everything in text format 0.0.4.
    pub fn render(&self) -> String {
        // Fails only for a family without metrics, which `gather` leaves out.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot render the metrics");
            String::new()
        })
    }
}

const METHODS: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
const SLOTS: usize = METHODS.len() + 1;

/// The place of a method in a table of routes; extension methods share the last one.
fn method_slot(method: &Method) -> usize {
    METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len())
}

fn method_name(slot: usize) -> &'static str {
    METHODS.get(slot).copied().unwrap_or("OTHER")
}

/// The handles of all routes of the server.
pub struct RouteTable {
    by_template: FxHashMap<Box<str>, [Option<Arc<RouteMetrics>>; SLOTS]>,
    all: Vec<Arc<RouteMetrics>>,
    unmatched: Vec<Arc<RouteMetrics>>,
}

impl RouteTable {
    fn add(&mut self, metrics: &Metrics, method: &'static str, template: &str) -> Arc<RouteMetrics> {
        let route = Arc::new(RouteMetrics {
            index: u16::try_from(self.all.len()).expect("there are far fewer than 65536 routes"),
            method,
            template: template.into(),
            classes: Default::default(),
            duration: OnceLock::new(),
            requests: metrics.requests.clone(),
            durations: metrics.durations.clone(),
            in_flight: metrics.in_flight.clone(),
        });
        self.all.push(Arc::clone(&route));
        route
    }

    /// The handle for a request that matched this template, or none.
    pub fn get(&self, method: &Method, template: Option<&str>) -> &Arc<RouteMetrics> {
        let slot = method_slot(method);
        template
            .and_then(|template| self.by_template.get(template))
            .and_then(|slots| slots[slot].as_ref())
            .unwrap_or(&self.unmatched[slot])
    }

    /// The handle with this [`RouteMetrics::index`].
    pub fn by_index(&self, index: u16) -> Option<&Arc<RouteMetrics>> {
        self.all.get(usize::from(index))
    }
}

/// The instruments of one method on one route.
pub struct RouteMetrics {
    index: u16,
    method: &'static str,
    template: Box<str>,
    classes: [OnceLock<IntCounter>; CLASSES.len()],
    duration: OnceLock<Histogram>,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl RouteMetrics {
    /// A small number for this route, valid within the process.
    pub fn index(&self) -> u16 {
        self.index
    }

    pub fn method(&self) -> &'static str {
        self.method
    }

    pub fn template(&self) -> &str {
        &self.template
    }

    /// Counts a request as in flight until the guard is dropped.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts an answered request.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        // http admits statuses up to 999; what is beyond 5xx is a server's mistake.
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.classes[class]
            .get_or_init(|| self.requests.with_label_values(&[self.method, &*self.template, CLASSES[class]]))
            .inc();
        self.duration.get_or_init(|| self.durations.with_label_values(&[&*self.template])).observe(took.as_secs_f64());
    }
}

/// A request in flight.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a listener counts.
#[derive(Clone)]
pub struct ConnectionMetrics {
    open: IntGauge,
    accepted: IntCounter,
    ended: IntCounterVec,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    Done,
    Failed,
    TimedOut,
    Cut,
}

impl ConnectionEnd {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cut => "cut",
        }
    }
}

impl ConnectionMetrics {
    fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            open: IntGauge::new("plinth_http_connections", "Connections that are open.")?,
            accepted: IntCounter::new("plinth_http_connections_accepted_total", "Connections accepted.")?,
            ended: IntCounterVec::new(
                Opts::new(
                    "plinth_http_connections_ended_total",
                    "Connections ended: done, failed, timed_out (client too slow) or cut (end of a drain).",
                ),
                &["end"],
            )?,
        })
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn opened(&self) -> OpenConnection {
        self.accepted.inc();
        self.open.inc();
        OpenConnection(self.clone())
    }
}

impl Default for ConnectionMetrics {
    /// Counts for nobody.
    fn default() -> Self {
        Self::new().expect("the names and labels above are valid")
    }
}

/// An open connection.
pub struct OpenConnection(ConnectionMetrics);

impl OpenConnection {
    pub fn ended(self, end: ConnectionEnd) {
        self.0.ended.with_label_values(&[end.label()]).inc();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        Metrics::new("1.2.3", Duration::from_secs(1_700_000_000)).unwrap()
    }

    #[test]
    fn counts_by_method_template_and_class() {
        let metrics = metrics();
        let table = metrics.routes([(Method::GET, "/orders/{id}"), (Method::PATCH, "/orders/{id}")]);
        let get = table.get(&Method::GET, Some("/orders/{id}"));
        get.answered(StatusCode::OK, Duration::from_millis(3));
        get.answered(StatusCode::NO_CONTENT, Duration::from_millis(700));
        table.get(&Method::PATCH, Some("/orders/{id}")).answered(StatusCode::CONFLICT, Duration::from_millis(1));
        let text = metrics.render();
        assert!(
            text.contains(r#"plinth_http_requests_total{method="GET",route="/orders/{id}",status="2xx"} 2"#),
            "{text}"
        );
        assert!(
            text.contains(r#"plinth_http_requests_total{method="PATCH",route="/orders/{id}",status="4xx"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"plinth_http_request_duration_seconds_bucket{route="/orders/{id}",le="0.005"} 2"#),
            "{text}"
        );
        assert!(text.contains(r#"plinth_http_request_duration_seconds_count{route="/orders/{id}"} 3"#), "{text}");
        assert!(
            !text.contains("5xx") && !text.contains("unmatched"),
            "series that counted nothing are not printed: {text}"
        );
    }

    #[test]
    fn what_clients_invent_makes_no_new_series() {
        let metrics = metrics();
        let table = metrics.routes([(Method::GET, "/a")]);
        for n in 0..50 {
            let method = Method::from_bytes(format!("X{n}").as_bytes()).unwrap();
            table.get(&method, Some(&format!("/nowhere/{n}"))).answered(StatusCode::NOT_FOUND, Duration::ZERO);
        }
        table.get(&Method::POST, Some("/a")).answered(StatusCode::METHOD_NOT_ALLOWED, Duration::ZERO);
        let text = metrics.render();
        let series: Vec<_> = text.lines().filter(|line| line.starts_with("plinth_http_requests_total{")).collect();
        assert_eq!(
            series,
            [
                r#"plinth_http_requests_total{method="OTHER",route="unmatched",status="4xx"} 50"#,
                r#"plinth_http_requests_total{method="POST",route="unmatched",status="4xx"} 1"#,
            ]
        );
    }

    #[test]
    fn a_route_named_twice_is_one_route_and_indexes_lead_back() {
        let metrics = metrics();
        let table = metrics.routes([(Method::GET, "/a"), (Method::GET, "/a"), (Method::PUT, "/a")]);
        let put = table.get(&Method::PUT, Some("/a"));
        assert!(Arc::ptr_eq(table.by_index(put.index()).unwrap(), put));
        assert_eq!(table.all.len(), SLOTS + 2);
        assert!(table.by_index(u16::MAX).is_none());
    }

    #[test]
    fn gauges_return_to_zero() {
        let metrics = metrics();
        let table = metrics.routes([(Method::GET, "/a")]);
        let request = table.get(&Method::GET, Some("/a")).begin();
        let connection = metrics.connections().opened();
        let vanished = metrics.connections().opened();
        assert!(metrics.render().contains("plinth_http_requests_in_flight 1\n"));
        assert!(metrics.render().contains("plinth_http_connections 2\n"));
        drop((request, vanished));
        connection.ended(ConnectionEnd::TimedOut);
        let text = metrics.render();
        assert!(text.contains("plinth_http_requests_in_flight 0\n"));
        assert!(text.contains("plinth_http_connections 0\n"));
        assert!(text.contains("plinth_http_connections_accepted_total 2\n"));
        assert!(text.contains("plinth_http_connections_ended_total{end=\"timed_out\"} 1\n"));
    }

    #[test]
    fn other_rooms_register_their_own_and_the_process_describes_itself() {
        let metrics = metrics();
        let jobs = IntCounter::new("plinth_jobs_total", "Jobs.").unwrap();
        metrics.registry().register(Box::new(jobs.clone())).unwrap();
        jobs.inc_by(7);
        metrics.rate_limited("address").inc();
        let text = metrics.render();
        assert!(text.contains("plinth_jobs_total 7\n"));
        assert!(text.contains("plinth_build_info{version=\"1.2.3\"} 1\n"));
        assert!(text.contains("process_start_time_seconds 1700000000\n"));
        assert!(text.contains("plinth_http_rate_limited_total{limiter=\"address\"} 1\n"));
    }

    /// The rules of `promtool check metrics` that a new instrument is likely to break.
    #[test]
    fn names_follow_the_conventions() {
        let metrics = metrics();
        let table = metrics.routes([(Method::GET, "/a")]);
        table.get(&Method::GET, Some("/a")).answered(StatusCode::OK, Duration::ZERO);
        metrics.rate_limited("key");
        metrics.connections().opened().ended(ConnectionEnd::Done);
        let families = metrics.registry().gather();
        assert_eq!(families.len(), 9, "every instrument is checked");
        for family in families {
            let (name, kind) = (family.name(), family.get_field_type());
            assert!(family.help().ends_with('.'), "{name} has help");
            assert_eq!(name.ends_with("_total"), kind == prometheus::proto::MetricType::COUNTER, "{name}");
            for unit in [
                "_ms",
                "_milliseconds",
                "_kib",
                "_minutes",
                "_percent",
                "_gauge",
                "_counter",
                "_histogram",
                "_count",
                "_sum",
            ] {
                assert!(!name.ends_with(unit), "{name} has a unit or kind that does not belong there");
            }
            if kind == prometheus::proto::MetricType::HISTOGRAM {
                assert!(name.ends_with("_seconds"), "{name}");
            }
        }
    }
}
