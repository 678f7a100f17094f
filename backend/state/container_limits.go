package state

// Limits are the limits of a container, as far as they can be changed while it
// runs.
type Limits struct {
	// Known says that they have been read; the rest means nothing before.
	Known bool `json:"known"`
	// Memory in bytes, and MemorySwap in bytes of memory and swap together; 0 for no
	// limit, MemorySwap negative for as much swap as there is.
	Memory     float64 `json:"memory"`
	MemorySwap float64 `json:"memory_swap"`
	// CPUs in cores; 0 for no limit.
	CPUs float64 `json:"cpus"`
	// Restart is the policy: "no", "always", "unless-stopped", "on-failure" or, with
	// the most retries, "on-failure:5".
	Restart string `json:"restart"`
	// AutoRemove says that the engine removes it when it ends.
	AutoRemove bool `json:"auto_remove,omitempty"`
}
