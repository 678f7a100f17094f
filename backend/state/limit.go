package state

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits are what a container was given, as far as they can be changed while it
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

// LeastMemory is the smallest memory limit that container engines take, in bytes.
const LeastMemory = 6 << 20

// ParseCPUs reads a number of cores, "1.5", which is at least a hundredth, and at
// most most where that is above 0.
func ParseCPUs(text string, most int) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case err != nil || !(v >= 0.01 && v < 1e6):
		return 0, fmt.Errorf("%q is not a number of cores: expected one such as 0.5 or 2", text)
	case most > 0 && v > float64(most):
		return 0, fmt.Errorf("%s cores are more than the %d that the host has", strings.TrimSpace(text), most)
	}
	return v, nil
}

// ParseRestart reads a restart policy: its name, and the most retries of
// "on-failure:5", 0 for no end.
func ParseRestart(text string) (name string, retries int, err error) {
	name, count, given := strings.Cut(strings.TrimSpace(text), ":")
	if !slices.Contains([]string{"no", "always", "unless-stopped", "on-failure"}, name) || given && name != "on-failure" {
		return "", 0, fmt.Errorf("%q is not a restart policy: expected no, always, unless-stopped, on-failure or on-failure:5", text)
	}
	if given {
		if retries, err = strconv.Atoi(count); err != nil || retries < 1 {
			return "", 0, fmt.Errorf("%q is not a restart policy: the most retries are a number from 1", text)
		}
	}
	return name, retries, nil
}

// signals are those that a program may be sent by name.
var signals = []string{"KILL", "TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "CONT", "STOP", "ABRT", "ALRM", "PIPE", "TSTP", "TTIN", "TTOU"}

// ParseSignal reads a signal's name, with or without "SIG", or its number, and
// returns what container engines take.
func ParseSignal(text string) (string, error) {
	s := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "SIG")
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= 64 {
		return s, nil
	}
	if !slices.Contains(signals, s) {
		return "", fmt.Errorf("%q is not a signal: expected one of %s, or a number from 1 to 64", text, strings.Join(signals, ", "))
	}
	return s, nil
}

// ParseYes reads a yes or no; empty is no.
func ParseYes(text string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "yes", "y", "true", "1":
		return true, nil
	case "no", "n", "false", "0", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", text)
}
