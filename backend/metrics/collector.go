package metrics

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Collector exposes the newest snapshot as metrics.
type Collector struct {
	latest func() *state.Snapshot
}

// NewCollector returns a collector over latest, which is called at each scrape.
func NewCollector(latest func() *state.Snapshot) *Collector { return &Collector{latest} }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var container = []string{"id", "name", "image", "compose_project", "compose_service"}

var (
	moduleStatus      = desc("nexus_module_status", "Module status: 0 disabled, 1 enabled, 2 failed.", "category", "platform", "status")
	moduleSuccesses   = desc("nexus_module_fetch_success_total", "Successful fetches.", "category", "platform")
	moduleFailures    = desc("nexus_module_fetch_failure_total", "Failed fetches.", "category", "platform")
	moduleLastSuccess = desc("nexus_module_last_success_timestamp_seconds", "When a fetch last succeeded.", "category", "platform")

	stageDepth    = desc("opsdeck_pipeline_stage_depth", "Jobs waiting in a pipeline stage.", "stage")
	stageInFlight = desc("opsdeck_pipeline_stage_in_flight", "Jobs in work in a pipeline stage.", "stage")
	stageP95      = desc("opsdeck_pipeline_stage_p95_seconds", "95th percentile of a stage's latency over its last jobs.", "stage")

	containerCPU      = desc("container_cpu_usage_seconds_total", "CPU time used, in seconds.", container...)
	containerMem      = desc("container_memory_usage_bytes", "Memory in use, in bytes, file cache included where it is known.", container...)
	containerWorking  = desc("container_memory_working_set_bytes", "Memory in use less inactive file cache, in bytes.", container...)
	containerMemLimit = desc("container_spec_memory_limit_bytes", "Memory limit in bytes; the host's memory where there is none.", container...)
	containerRx       = desc("container_network_receive_bytes_total", "Bytes received.", container...)
	containerTx       = desc("container_network_transmit_bytes_total", "Bytes sent.", container...)
	containerRead     = desc("container_fs_reads_bytes_total", "Bytes read from block devices.", container...)
	containerWrite    = desc("container_fs_writes_bytes_total", "Bytes written to block devices.", container...)
	containerProcs    = desc("container_processes", "Processes running.", container...)
	containerStart    = desc("container_start_time_seconds", "When it was started.", container...)
	containerSeen     = desc("container_last_seen", "When it was last sampled.", container...)
	containerState    = desc("opsdeck_container_state", "1 for the state that the container is in.", append(container[:len(container):len(container)], "state", "health")...)
	containerRestarts = desc("opsdeck_container_restarts_total", "Restarts by the engine's restart policy.", container...)

	queueDepth  = desc("opsdeck_queue_depth", "Items in a queue.", "queue", "kind")
	queueOldest = desc("opsdeck_queue_oldest_seconds", "Age of a queue's oldest item.", "queue", "kind")

	serviceUp       = desc("probe_success", "1 when the service answered healthy.", "job", "instance")
	serviceDuration = desc("probe_duration_seconds", "How long the last probe took.", "job", "instance")

	logLines  = desc("opsdeck_log_lines_total", "Lines read since following began.", "source")
	logErrors = desc("opsdeck_log_error_lines_total", "Lines of level error or fatal since following began.", "source")

	watchMatches = desc("opsdeck_log_watch_matches", "Log records that passed a watch's filter within its window.", "watch")
	watchTotal   = desc("opsdeck_log_watch_matches_total", "Log records that passed a watch's filter since it began.", "watch")

	nodeCPU       = desc("node_cpu_seconds_total", "CPU time by mode, summed over cores.", "mode")
	nodeLoad1     = desc("node_load1", "Load average over 1 minute.")
	nodeLoad5     = desc("node_load5", "Load average over 5 minutes.")
	nodeLoad15    = desc("node_load15", "Load average over 15 minutes.")
	nodeCores     = desc("opsdeck_host_cores", "Cores of the host.")
	nodeMemTotal  = desc("node_memory_MemTotal_bytes", "Memory of the host.")
	nodeMemAvail  = desc("node_memory_MemAvailable_bytes", "Memory that can still be used.")
	nodeSwapTotal = desc("node_memory_SwapTotal_bytes", "Swap of the host.")
	nodeSwapFree  = desc("node_memory_SwapFree_bytes", "Free swap.")
	nodeFSSize    = desc("node_filesystem_size_bytes", "Size of a file system.", "device", "fstype", "mountpoint")
	nodeFSAvail   = desc("node_filesystem_avail_bytes", "Bytes a user may still write.", "device", "fstype", "mountpoint")

	sectionUp = desc("opsdeck_source_up", "1 when the source of a section answers, 0 when it does not; none where it is absent.", "section")
)

// Describe implements prometheus.Collector. It sends nothing: which series there
// are depends on what runs.
func (*Collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.latest()
	e := emitter{ch, map[string]bool{}}
	for _, name := range state.SectionNames() {
		switch s.HealthOf(name).Status {
		case state.OK:
			e.gauge(sectionUp, 1, string(name))
		case state.Stale, state.Down:
			e.gauge(sectionUp, 0, string(name))
		}
	}
	if s.Modules.Health.Status == state.OK {
		e.modules(s.Modules)
	}
	if s.Pipeline.Health.Status == state.OK {
		for _, st := range s.Pipeline.Stages {
			if st.Done < 0 {
				continue // another orchestrator's, of which the name alone is known
			}
			e.gauge(stageDepth, float64(st.Depth), st.Title)
			e.gauge(stageInFlight, float64(st.InFlight), st.Title)
			e.gauge(stageP95, st.P95/1e3, st.Title)
		}
	}
	if s.Containers.Health.Status == state.OK {
		e.containers(s.Containers)
	}
	if s.Queues.Health.Status == state.OK {
		for _, q := range s.Queues.List {
			if q.Err == "" {
				e.gauge(queueDepth, q.Depth, q.Key, q.Kind)
				e.gauge(queueOldest, known(q.Oldest.Seconds()), q.Key, q.Kind)
			}
		}
	}
	if s.Services.Health.Status == state.OK {
		for _, sv := range s.Services.List {
			if sv.Checked.IsZero() {
				continue
			}
			up := 0.0
			if sv.Word == "healthy" {
				up = 1
			}
			e.gauge(serviceUp, up, sv.Title, sv.URL)
			e.gauge(serviceDuration, sv.LatencyMS/1e3, sv.Title, sv.URL)
		}
	}
	if s.Logs.Health.Status == state.OK {
		for _, l := range s.Logs.Sources {
			if l.Kind == "file" || l.Kind == "remote" {
				e.counter(logLines, float64(l.Lines), l.Title)
				e.counter(logErrors, float64(l.Errors), l.Title)
			}
		}
		for _, w := range s.Logs.Watches {
			e.gauge(watchMatches, float64(w.Recent), w.Name)
			e.counter(watchTotal, float64(w.Matches), w.Name)
		}
	}
	if s.Host.Health.Status == state.OK {
		e.host(s.Host)
	}
}

// known maps a negative, unknown figure to one that emitter leaves out.
func known(v float64) float64 {
	if v < 0 {
		return -1
	}
	return v
}

// emitter sends metrics, leaving out unknown figures, which are negative or not
// finite, and what was sent already: two services of one name, or two mounts on
// one folder, must not cost all the others their series.
type emitter struct {
	ch   chan<- prometheus.Metric
	sent map[string]bool
}

func (e emitter) send(d *prometheus.Desc, t prometheus.ValueType, v float64, labels []string) {
	if !(v >= 0) || math.IsInf(v, 0) {
		return
	}
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	key := fmt.Sprintf("%p\xff%s", d, strings.Join(labels, "\xff")) // which no label holds
	if e.sent[key] {
		return
	}
	e.sent[key] = true
	if m, err := prometheus.NewConstMetric(d, t, v, labels...); err == nil {
		e.ch <- m
	}
}

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.send(d, prometheus.GaugeValue, v, labels)
}

func (e emitter) counter(d *prometheus.Desc, v float64, labels ...string) {
	e.send(d, prometheus.CounterValue, v, labels)
}

func (e emitter) modules(m state.Modules) {
	for _, mod := range m.List {
		v, word := 0.0, mod.Status.Word()
		switch mod.Status {
		case state.ModuleInstalled:
			v = 1
		case state.ModuleFailed:
			v = 2
		}
		e.gauge(moduleStatus, v, mod.Category, mod.Platform, word)
		e.counter(moduleSuccesses, float64(mod.Successes), mod.Category, mod.Platform)
		e.counter(moduleFailures, float64(mod.Failures), mod.Category, mod.Platform)
		if !mod.LastOK.IsZero() {
			e.gauge(moduleLastSuccess, float64(mod.LastOK.UnixMilli())/1e3, mod.Category, mod.Platform)
		}
	}
}

// Of more than manyStopped stopped containers only those that ended within
// longStopped have series: tens of thousands that nobody removes would fill the
// store with what never changes.
const (
	manyStopped = 1000
	longStopped = 24 * time.Hour
)

func (e emitter) containers(cs state.Containers) {
	stopped := 0
	for i := range cs.List {
		if st := cs.List[i].State; st == "exited" || st == "created" {
			stopped++
		}
	}
	since := time.Time{}
	if stopped > manyStopped {
		since = time.Now().Add(-longStopped)
	}
	for i := range cs.List {
		c := &cs.List[i]
		if (c.State == "exited" || c.State == "created") && !since.IsZero() && c.Finished.Before(since) {
			continue
		}
		l := []string{c.ID, c.Title, c.Image, c.Project, c.Service}
		with := func(more ...string) []string { return append(l[:len(l):len(l)], more...) }
		e.gauge(containerState, 1, with(c.State, c.HealthWord)...)
		e.counter(containerRestarts, float64(c.Restarts), with()...)
		if c.State != "running" && c.State != "paused" || c.Sampled.IsZero() {
			continue
		}
		e.counter(containerCPU, c.CPUSeconds, with()...)
		usage := c.MemUsage
		if usage <= 0 {
			usage = c.MemBytes
		}
		e.gauge(containerMem, usage, with()...)
		e.gauge(containerWorking, c.MemBytes, with()...)
		e.gauge(containerMemLimit, c.MemLimit, with()...)
		e.counter(containerRx, c.NetRx, with()...)
		e.counter(containerTx, c.NetTx, with()...)
		e.counter(containerRead, c.BlkRead, with()...)
		e.counter(containerWrite, c.BlkWrite, with()...)
		e.gauge(containerProcs, c.PIDs, with()...)
		e.gauge(containerStart, float64(c.Started.Unix()), with()...)
		e.gauge(containerSeen, float64(c.Sampled.Unix()), with()...)
	}
}

func (e emitter) host(h state.Host) {
	for mode, v := range h.CPUSeconds {
		e.counter(nodeCPU, v, mode)
	}
	e.gauge(nodeLoad1, h.Load1)
	e.gauge(nodeLoad5, h.Load5)
	e.gauge(nodeLoad15, h.Load15)
	e.gauge(nodeCores, float64(h.Cores))
	e.gauge(nodeMemTotal, h.MemTotal)
	if h.MemTotal >= 0 && h.MemUsed >= 0 {
		e.gauge(nodeMemAvail, h.MemTotal-h.MemUsed)
	}
	e.gauge(nodeSwapTotal, h.SwapTotal)
	if h.SwapTotal >= 0 && h.SwapUsed >= 0 {
		e.gauge(nodeSwapFree, h.SwapTotal-h.SwapUsed)
	}
	for _, d := range h.Disks {
		e.gauge(nodeFSSize, d.Total, d.Device, d.FSType, d.Mount)
		e.gauge(nodeFSAvail, d.Avail, d.Device, d.FSType, d.Mount)
	}
}
