// Package metrics keeps time series of everything that the console shows, and
// answers PromQL over them.
//
// It owns an embedded Prometheus time series database under the workspace's data
// folder, and the [Collector] that turns snapshots into series under the names
// that operators' rules and dashboards already use: nexus_* for modules,
// cAdvisor's for containers, node_exporter's for the host, blackbox_exporter's
// for services, opsdeck_* for the rest. It never makes up a value: a figure that
// is unknown, and a section that is stale, has no sample.
//
// [Relay] adds what other services expose: the delegation and provider figures of
// NEXUS belong to the services that count them, and are relayed, never made up.
//
// # Who may write
//
// [Store.Run] alone appends; rule evaluation appends through [Store.Appendable].
//
// # Adding a series
//
// Add its description and its lines to collector.go. It is then stored, queried,
// alerted on, and served at /metrics/prometheus.
//
// # Why the registry is read in the process
//
// Scraping our own HTTP address would make rules depend on a port being free.
// The same registry serves both, so what rules see is what a server scrapes.
package metrics
