package engine

import (
	"time"

	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the engine's own figures, under the names of the operations guide.
type metrics struct {
	pipeline    func() *pipeline.Pipeline // of the present run, nil before the first
	builds      *prometheus.CounterVec
	validations *prometheus.CounterVec
	installs    prometheus.Counter
	credentials *prometheus.CounterVec
	fetches     *prometheus.CounterVec
	duration    *prometheus.HistogramVec

	depth, inFlight, done, errors *prometheus.Desc
}

func newMetrics(pipe func() *pipeline.Pipeline) *metrics {
	m := &metrics{pipeline: pipe,
		builds:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_module_builds_total", Help: "Attempts to load a module's adapter."}, []string{"result"}),
		validations: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_module_validations_total", Help: "Validations of module manifests."}, []string{"result"}),
		installs:    prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_module_installs_total", Help: "Modules that became enabled."}),
		credentials: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_credential_operations_total", Help: "Operations on the credential store."}, []string{"operation", "result"}),
		fetches:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_module_fetches_total", Help: "Fetches by module."}, []string{"category", "platform", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nexus_module_fetch_duration_seconds", Help: "How long good fetches took.",
			Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"category", "platform"}),
		depth:    prometheus.NewDesc("nexus_pipeline_stage_depth", "Jobs that wait for the stage.", []string{"stage"}, nil),
		inFlight: prometheus.NewDesc("nexus_pipeline_stage_in_flight", "Jobs that the stage works on.", []string{"stage"}, nil),
		done:     prometheus.NewDesc("nexus_pipeline_stage_jobs_total", "Jobs that the stage finished.", []string{"stage"}, nil),
		errors:   prometheus.NewDesc("nexus_pipeline_stage_errors_total", "Jobs that failed in the stage.", []string{"stage"}, nil),
	}
	// Series that exist from the start make rate() see the first increase.
	for _, r := range []string{"success", "failure"} {
		m.builds.WithLabelValues(r)
		m.validations.WithLabelValues(r)
		for _, op := range []string{"store", "retrieve", "rotate", "delete", "restore", "check", "rekey"} {
			m.credentials.WithLabelValues(op, r)
		}
	}
	return m
}

func result(ok bool) string {
	if ok {
		return "success"
	}
	return "failure"
}

func (m *metrics) build(ok bool)                 { m.builds.WithLabelValues(result(ok)).Inc() }
func (m *metrics) validation(ok bool)            { m.validations.WithLabelValues(result(ok)).Inc() }
func (m *metrics) install()                      { m.installs.Inc() }
func (m *metrics) credential(op string, ok bool) { m.credentials.WithLabelValues(op, result(ok)).Inc() }
func (m *metrics) fetch(mod *module, took time.Duration, ok bool) {
	m.fetches.WithLabelValues(mod.category, mod.platform, result(ok)).Inc()
	if ok {
		m.duration.WithLabelValues(mod.category, mod.platform).Observe(took.Seconds())
	}
}

func (m *metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.builds, m.validations, m.installs, m.credentials, m.fetches, m.duration}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{m.depth, m.inFlight, m.done, m.errors} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(ch)
	}
	p := m.pipeline()
	if p == nil {
		return
	}
	for _, s := range p.Counts() {
		ch <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(s.Depth), s.Title)
		ch <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(s.InFlight), s.Title)
		ch <- prometheus.MustNewConstMetric(m.done, prometheus.CounterValue, float64(s.Done), s.Title)
		ch <- prometheus.MustNewConstMetric(m.errors, prometheus.CounterValue, float64(s.Errors), s.Title)
	}
}

// Collector returns the engine's own figures, for a registry. nexus_module_status is
// not among them: it is served from the snapshot.
func (e *Engine) Collector() prometheus.Collector { return e.metrics }
