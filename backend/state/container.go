package state

import (
	"cmp"
	"slices"
	"time"
)

// Containers is what the container engine runs.
type Containers struct {
	Health Health `json:"health"`
	// Host is the engine's address; Engine its name and version.
	Host   string      `json:"host"`
	Engine string      `json:"engine,omitempty"`
	List   []Container `json:"list"` // by Title, then ID
	// Details holds the heavy data of containers being looked at, by ID.
	Details map[string]ContainerDetail `json:"details,omitempty"`
	// CPUs is how many cores the host has.
	CPUs int `json:"cpus,omitempty"`
	// Compose is the compose command that is there, and Projects are what it needs of
	// each project, by name.
	Compose  Compose            `json:"compose"`
	Projects map[string]Project `json:"projects,omitempty"`
	// Connections are those of the containers that an action is being asked about, by
	// ID; Reclaim is what a prune would take while one is being asked about.
	Connections map[string]Connections `json:"connections,omitempty"`
	Reclaim     *Reclaim               `json:"reclaim,omitempty"`
}

// Container is one container. Figures that could not be read are negative.
type Container struct {
	ID    string `json:"id"` // full
	Title string `json:"title"`
	Image string `json:"image"`
	// State is "created", "running", "paused", "restarting", "removing", "exited" or "dead".
	State string `json:"state"`
	// HealthWord is "healthy", "unhealthy", "starting" or "" where no check is defined.
	HealthWord string    `json:"health_word,omitempty"`
	ExitCode   int       `json:"exit_code,omitempty"`
	OOMKilled  bool      `json:"oom_killed,omitempty"`
	Created    time.Time `json:"created"`
	Started    time.Time `json:"started,omitzero"`
	Finished   time.Time `json:"finished,omitzero"`
	Restarts   int       `json:"restarts"`
	// Project and Service are compose's, from its labels.
	Project string            `json:"project,omitempty"`
	Service string            `json:"service,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Ports   []string          `json:"ports,omitempty"` // "0.0.0.0:8080->80/tcp"
	// Volumes are what is mounted: "data at /var/lib/data", "/srv/web at /www, read-only".
	Volumes []string `json:"volumes,omitempty"`
	// Limits are those that can be changed while it runs.
	Limits Limits `json:"limits"`
	// NetworkOf is the ID of the container whose network it uses; "" for its own.
	NetworkOf string `json:"network_of,omitempty"`

	// CPUPercent is of one core, as docker stats counts it: 200 is two cores busy.
	CPUPercent float64 `json:"cpu_percent"`
	// CPUSeconds is the total used since the container started.
	CPUSeconds float64 `json:"cpu_seconds"`
	// MemBytes is usage less inactive file cache, as docker stats counts it; MemLimit
	// the limit, the host's memory where there is none.
	MemBytes   float64 `json:"mem_bytes"`
	MemLimit   float64 `json:"mem_limit"`
	MemPercent float64 `json:"mem_percent"`
	// MemUsage is usage with file cache, as cAdvisor's container_memory_usage_bytes.
	MemUsage float64 `json:"mem_usage"`
	// Totals in bytes since start, and rates in bytes a second.
	NetRx       float64 `json:"net_rx"`
	NetTx       float64 `json:"net_tx"`
	NetRxRate   float64 `json:"net_rx_rate"`
	NetTxRate   float64 `json:"net_tx_rate"`
	BlkRead     float64 `json:"blk_read"`
	BlkWrite    float64 `json:"blk_write"`
	BlkReadRate float64 `json:"blk_read_rate"`
	BlkWrRate   float64 `json:"blk_write_rate"`
	PIDs        float64 `json:"pids"`
	// Sampled is when the figures were read; zero before the first.
	Sampled time.Time `json:"sampled,omitzero"`
	// CPUHistory in percent and MemHistory in bytes: the last samples, oldest first.
	CPUHistory []float64 `json:"cpu_history,omitempty"`
	MemHistory []float64 `json:"mem_history,omitempty"`
}

// ContainerDetail is what is fetched only while somebody looks.
type ContainerDetail struct {
	// Inspect is the engine's answer as indented JSON, secrets in the environment masked.
	Inspect string `json:"inspect,omitempty"`
	// Top is the process list: titles, then a row a process.
	TopTitles []string   `json:"top_titles,omitempty"`
	Top       [][]string `json:"top,omitempty"`
	Err       string     `json:"err,omitempty"`
	At        time.Time  `json:"at"`
}

// Container is the container of that ID, title, or unique ID prefix, or nil.
func (c Containers) Container(target string) *Container {
	// Whoever asks for all asks for each: thousands would be compared with thousands.
	if i, ok := slices.BinarySearchFunc(c.List, target, func(c Container, t string) int { return cmp.Compare(c.Title, t) }); ok {
		return &c.List[i]
	}
	var prefix *Container
	n := 0
	for i := range c.List {
		if c.List[i].ID == target || c.List[i].Title == target {
			return &c.List[i]
		}
		if len(target) >= 4 && len(c.List[i].ID) > len(target) && c.List[i].ID[:len(target)] == target {
			prefix = &c.List[i]
			n++
		}
	}
	if n == 1 {
		return prefix
	}
	return nil
}

// Queues is the depth of every queue that is watched.
type Queues struct {
	Health Health `json:"health"`
	// Server is the Redis server's address without its password; Version its version.
	Server  string  `json:"server"`
	Version string  `json:"version,omitempty"`
	List    []Queue `json:"list"` // in the workspace's order, then by Key
	// Scan says how far the last key scan came: "1,204 keys in 12 ms".
	Scan string `json:"scan,omitempty"`
}

// Queue is one queue. Figures that cannot be known are negative.
type Queue struct {
	// Key is the Redis key, or the glob of a counted pattern.
	Key string `json:"key"`
	// Kind is "list", "stream", "zset" or "keys".
	Kind  string  `json:"kind"`
	Depth float64 `json:"depth"`
	// In and Out are items a second; where only the net change can be seen, In has
	// a rise, Out a fall, and NetOnly is set.
	In      float64 `json:"in"`
	Out     float64 `json:"out"`
	NetOnly bool    `json:"net_only,omitempty"`
	// Trend is the change of depth in items a second over the last minute.
	Trend float64 `json:"trend"`
	// Drain is the time to empty at the present trend; negative where it grows or stands.
	Drain time.Duration `json:"drain"`
	// Oldest is the age of the oldest item; negative where it cannot be known.
	Oldest time.Duration `json:"oldest"`
	// Groups are a stream's consumer groups.
	Groups  []StreamGroup `json:"groups,omitempty"`
	Depths  []float64     `json:"depths,omitempty"` // one a sweep, oldest first
	Err     string        `json:"err,omitempty"`
	Sampled time.Time     `json:"sampled,omitzero"`
	// Peek holds the first items while somebody looks, cleaned, cut at 4 KiB each.
	Peek []string `json:"peek,omitempty"`
}

// StreamGroup is a consumer group of a stream.
type StreamGroup struct {
	Title     string  `json:"title"`
	Consumers int     `json:"consumers"`
	Pending   float64 `json:"pending"`
	Lag       float64 `json:"lag"` // negative where the server cannot say
}
