package state

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Containers is the section of the containers of all engines.
type Containers struct {
	Health Health `json:"health"`
	// Host is the engine's address; Engine its name and version.
	Host   string      `json:"host"`
	Engine string      `json:"engine,omitempty"`
	List   []Container `json:"list"` // by Title, then Host, then ID
	// Hosts are the engines, in the workspace's order; nil where there is but one,
	// whose health is the section's.
	Hosts []ContainerHost `json:"hosts,omitempty"`
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
	// Engines holds what is fetched of an engine while somebody looks, by host.
	Engines map[string]EngineDetail `json:"engines,omitempty"`
}

// ContainerHost is one of several container engines.
type ContainerHost struct {
	// Title is what its containers' Host says; Address where it is.
	Title   string `json:"title"`
	Address string `json:"address"`
	Engine  string `json:"engine,omitempty"`
	// Health says how far its containers can be believed: each engine is its own.
	Health Health `json:"health"`
}

// Container is one container. Figures that could not be read are negative.
type Container struct {
	ID    string `json:"id"` // full
	Title string `json:"title"`
	// Host is the title of its engine's host; "" where there is but one engine.
	Host string `json:"host,omitempty"`
	// Twin says that a container of another host has this title too.
	Twin  bool   `json:"twin,omitempty"`
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
	// PIDsLimit is the most processes; 0 for no limit.
	PIDsLimit float64 `json:"pids_limit,omitempty"`

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

// ContainerDetail holds data that is fetched only while a console shows it. Secrets in it are
// masked. Each part says in Parts when it was fetched and what went wrong.
type ContainerDetail struct {
	// At is when the container was last inspected; Err is why that failed.
	At  time.Time `json:"at"`
	Err string    `json:"err,omitempty"`
	// Inspect is the engine's answer as indented JSON.
	Inspect string `json:"inspect,omitempty"`
	// Command is what it runs, Dir where, User as whom.
	Command    string             `json:"command,omitempty"`
	Dir        string             `json:"dir,omitempty"`
	User       string             `json:"user,omitempty"`
	Error      string             `json:"error,omitempty"` // why the engine could not start it
	LogDriver  string             `json:"log_driver,omitempty"`
	StopSignal string             `json:"stop_signal,omitempty"`
	Env        []EnvVar           `json:"env,omitempty"`      // by name
	Mounts     []ContainerMount   `json:"mounts,omitempty"`   // by path in the container
	Networks   []ContainerNetwork `json:"networks,omitempty"` // by name
	Exposed    []string           `json:"exposed,omitempty"`  // "80/tcp", published or not
	// Check is the health check's command, "" for none; Probes its last runs, newest first.
	Check  string        `json:"check,omitempty"`
	Probes []HealthProbe `json:"probes,omitempty"`
	// Top is the process list: titles, then a row a process.
	TopTitles []string        `json:"top_titles,omitempty"`
	Top       [][]string      `json:"top,omitempty"`
	Image     *ContainerImage `json:"image,omitempty"`
	// Changes are the files that differ from the image's, by path; MoreChanges counts
	// those beyond the ones held.
	Changes     []FileChange     `json:"changes,omitempty"`
	MoreChanges int              `json:"more_changes,omitempty"`
	Events      []ContainerEvent `json:"events,omitempty"` // newest first
	Histories   *Histories       `json:"histories,omitempty"`
	// Parts says of each part but the inspect how it was fetched.
	Parts map[string]Fetch `json:"parts,omitempty"`
}

// The parts of a detail that are fetched only while they themselves are looked at;
// the rest comes with the inspect.
const (
	PartTop     = "top"
	PartImage   = "image"
	PartDiff    = "diff"
	PartEvents  = "events"
	PartHistory = "history"
	PartEngine  = "engine"
)

// ContainerParts lists them all.
var ContainerParts = []string{PartTop, PartImage, PartDiff, PartEvents, PartHistory, PartEngine}

// Fetch is when something was fetched, and why it failed; the data of a fetch that
// failed is that of the one before.
type Fetch struct {
	At  time.Time `json:"at"` // of the last that worked; zero for none
	Err string    `json:"err,omitempty"`
}

// EnvVar is a variable of a container's environment. Masked says that the value is
// hidden, because of the name or because the value is known to be secret.
type EnvVar struct {
	Title  string `json:"title"`
	Value  string `json:"value"`
	Masked bool   `json:"masked,omitempty"`
}

// ContainerMount is a volume or folder in a container.
type ContainerMount struct {
	Kind   string `json:"kind"`             // "bind", "volume", "tmpfs", ...
	Title  string `json:"title,omitempty"`  // of a volume
	Source string `json:"source,omitempty"` // on the engine's host
	Path   string `json:"path"`             // in the container
	Write  bool   `json:"write"`
	Driver string `json:"driver,omitempty"`
}

// ContainerNetwork is a network that a container is on.
type ContainerNetwork struct {
	Title   string   `json:"title"`
	IPv4    string   `json:"ipv4,omitempty"` // with prefix length
	IPv6    string   `json:"ipv6,omitempty"`
	Gateway string   `json:"gateway,omitempty"`
	MAC     string   `json:"mac,omitempty"`
	Aliases []string `json:"aliases,omitempty"`
}

// HealthProbe is one run of a health check.
type HealthProbe struct {
	At       time.Time     `json:"at"`
	Took     time.Duration `json:"took"`
	ExitCode int           `json:"exit_code"`
	Output   string        `json:"output,omitempty"`
}

// ContainerImage is the image that a container was made of.
type ContainerImage struct {
	ID       string       `json:"id"`
	Tags     []string     `json:"tags,omitempty"`
	Digests  []string     `json:"digests,omitempty"`
	Created  time.Time    `json:"created,omitzero"`
	Size     float64      `json:"size"` // bytes
	Platform string       `json:"platform,omitempty"`
	Layers   []ImageLayer `json:"layers,omitempty"` // newest first
	// Newer says that its tag means another image by now: a restart would not take it,
	// making the container anew would.
	Newer bool `json:"newer,omitempty"`
}

// ImageLayer is one step of an image's history.
type ImageLayer struct {
	Created time.Time `json:"created,omitzero"`
	By      string    `json:"by"`
	Size    float64   `json:"size"` // bytes
}

// FileChange is a file that a container added, changed or deleted.
type FileChange struct {
	Kind string `json:"kind"` // "added", "changed" or "deleted"
	Path string `json:"path"`
}

// ContainerEvent is something that happened to a container.
type ContainerEvent struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Histories are a container's figures over the last minute, and over the last hour and
// the last day from the store. All of one have as many samples, oldest first; unknown
// ones are negative.
type Histories struct {
	Minute Series `json:"minute"`
	Hour   Series `json:"hour"`
	Day    Series `json:"day"`
	// Read is when Hour and Day were read from the store, and Err why that failed.
	Read time.Time `json:"read,omitzero"`
	Err  string    `json:"err,omitempty"`
}

// Series is one container's figures over time.
type Series struct {
	Step time.Duration `json:"step"` // between two samples
	// CPU is in percent of one core, Mem in bytes, the others in bytes a second.
	CPU      []float64 `json:"cpu,omitempty"`
	Mem      []float64 `json:"mem,omitempty"`
	NetRx    []float64 `json:"net_rx,omitempty"`
	NetTx    []float64 `json:"net_tx,omitempty"`
	BlkRead  []float64 `json:"blk_read,omitempty"`
	BlkWrite []float64 `json:"blk_write,omitempty"`
}

// EngineDetail is the container engine itself. Unknown figures are negative.
type EngineDetail struct {
	Fetch
	Version string `json:"version,omitempty"`
	API     string `json:"api,omitempty"`
	// System is the operating system and kernel; Storage the driver of layers; Root the
	// folder that holds them.
	System     string    `json:"system,omitempty"`
	Storage    string    `json:"storage,omitempty"`
	Root       string    `json:"root,omitempty"`
	Cgroup     string    `json:"cgroup,omitempty"`
	CPUs       int       `json:"cpus,omitempty"`
	Mem        float64   `json:"mem"` // bytes
	Containers int       `json:"containers"`
	Running    int       `json:"running"`
	Paused     int       `json:"paused"`
	Stopped    int       `json:"stopped"`
	Images     int       `json:"images"`
	Warnings   []string  `json:"warnings,omitempty"`
	Disk       []DiskUse `json:"disk,omitempty"`
	DiskFetch  Fetch     `json:"disk_fetch"`
}

// DiskUse is the disk space that one kind of an engine's objects takes.
type DiskUse struct {
	Kind   string  `json:"kind"` // "images", "containers", "volumes", "build cache"
	Count  int     `json:"count"`
	Active int     `json:"active"`
	Size   float64 `json:"size"` // bytes
	Free   float64 `json:"free"` // bytes that a prune gives back
}

// Target returns the name by which actions know a container: its title, with its host
// before it where another host has one of that title too ("edge/web").
func (c *Container) Target() string {
	if c.Twin {
		return c.Host + "/" + c.Title
	}
	return c.Title
}

// HostOf returns the host of a container, or nil where there is but one.
func (c Containers) HostOf(x *Container) *ContainerHost {
	for i := range c.Hosts {
		if c.Hosts[i].Title == x.Host {
			return &c.Hosts[i]
		}
	}
	return nil
}

// Container returns the container of that ID, title, host and title ("edge/web"), or
// unique ID prefix, or nil. A title that several hosts have is nobody's.
func (c Containers) Container(target string) *Container {
	// Whoever asks for all asks for each: thousands would be compared with thousands.
	if i, ok := slices.BinarySearchFunc(c.List, target, func(x Container, t string) int { return cmp.Compare(x.Title, t) }); ok {
		if i+1 == len(c.List) || c.List[i+1].Title != target {
			return &c.List[i]
		}
	}
	var prefix, titled *Container
	prefixes, titles := 0, 0
	host, title, hosted := strings.Cut(target, "/")
	for i := range c.List {
		x := &c.List[i]
		switch {
		case x.ID == target, hosted && x.Host == host && x.Title == title:
			return x
		case x.Title == target:
			titled = x
			titles++
		case len(target) >= 4 && len(x.ID) > len(target) && x.ID[:len(target)] == target:
			prefix = x
			prefixes++
		}
	}
	switch {
	case titles == 1:
		return titled
	case titles == 0 && prefixes == 1:
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
