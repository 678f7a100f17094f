package state

import "time"

// Host is the machine that the engine runs on. Unknown figures are negative.
type Host struct {
	Health     Health    `json:"health"`
	Hostname   string    `json:"hostname"`
	OS         string    `json:"os"`
	Cores      int       `json:"cores"`
	CPUPercent float64   `json:"cpu_percent"` // of all cores
	Load1      float64   `json:"load1"`
	Load5      float64   `json:"load5"`
	Load15     float64   `json:"load15"`
	MemTotal   float64   `json:"mem_total"` // bytes
	MemUsed    float64   `json:"mem_used"`  // bytes, total less available
	SwapTotal  float64   `json:"swap_total"`
	SwapUsed   float64   `json:"swap_used"`
	Uptime     float64   `json:"uptime"` // seconds
	Disks      []Disk    `json:"disks,omitempty"`
	CPUHistory []float64 `json:"cpu_history,omitempty"`
	MemHistory []float64 `json:"mem_history,omitempty"`
	// Nets are its network interfaces but the loopback.
	Nets []NetInterface `json:"nets,omitempty"`
	// ClockErr is the most that the clock may be wrong, in seconds, as the kernel
	// reckons; ClockSet says that something keeps it right.
	ClockErr float64 `json:"clock_err"`
	ClockSet bool    `json:"clock_set"`
	// Tasks are the threads of all processes, Files the open files of the host and
	// FilesMax how many there may be.
	Tasks    float64 `json:"tasks"`
	Files    float64 `json:"files"`
	FilesMax float64 `json:"files_max"`
	// Processes are read only while somebody looks; Looked is when they last were, and
	// Hidden why some of what they hold cannot be seen.
	Processes []Process `json:"processes,omitempty"`
	Looked    time.Time `json:"looked,omitzero"`
	Hidden    string    `json:"hidden,omitempty"`
	// CPUSeconds by mode ("user", "system", "idle", ...) since boot, summed over cores.
	CPUSeconds map[string]float64 `json:"cpu_seconds,omitempty"`
}

// Disk is one mounted file system.
type Disk struct {
	Mount  string  `json:"mount"`
	Device string  `json:"device"`
	FSType string  `json:"fs_type"`
	Total  float64 `json:"total"` // bytes
	Avail  float64 `json:"avail"` // bytes a user may still write
	// Inodes is how many files it can hold, InodesFree how many more; negative where it
	// has no such bound.
	Inodes     float64 `json:"inodes"`
	InodesFree float64 `json:"inodes_free"`
	// Full is the time until it is full at the rate of the last hour; negative where it
	// is not filling, or was not watched for long enough.
	Full time.Duration `json:"full"`
	// ReadOnly says that nothing can be written to it.
	ReadOnly bool `json:"read_only,omitempty"`
}

// NetInterface is one network interface. Rates are in bytes a second, negative before
// the second sample; Errors counts packets with errors and dropped ones since boot.
type NetInterface struct {
	Name   string  `json:"name"`
	RxRate float64 `json:"rx_rate"`
	TxRate float64 `json:"tx_rate"`
	Errors float64 `json:"errors"`
}

// Process is one process of the host. Figures that are not known are negative.
type Process struct {
	PID     int    `json:"pid"`
	Parent  int    `json:"parent"`
	User    string `json:"user"`
	Name    string `json:"name"`
	Command string `json:"command,omitempty"` // with its arguments, secrets masked, at most 512 bytes
	// State is the kernel's letter: "R", "S", "D", "Z", "T".
	State      string    `json:"state"`
	CPUPercent float64   `json:"cpu_percent"` // of one core
	CPUSeconds float64   `json:"cpu_seconds"`
	RSS        float64   `json:"rss"` // bytes
	Threads    int       `json:"threads"`
	Started    time.Time `json:"started"`
	// Container is the full ID of the container that it runs in, "" for none.
	Container string `json:"container,omitempty"`
	// Ports are where it listens: "tcp 0.0.0.0:8080", "udp [::]:53".
	Ports []string `json:"ports,omitempty"`
}
