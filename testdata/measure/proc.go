package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cpuSeconds returns what a process has used of the CPU, without its children.
func cpuSeconds(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return math.NaN()
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100 // USER_HZ is 100 on every Linux that Go runs on
}

// memory returns a field of /proc/PID/status in MiB: VmRSS, RssAnon, RssFile.
func memory(pid int, field string) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kb / 1024
		}
	}
	return math.NaN()
}

// engineCPU returns the CPU seconds of the container engine's daemon.
func engineCPU() float64 {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		if c, _ := os.ReadFile(d + "/comm"); strings.TrimSpace(string(c)) == "dockerd" {
			pid, _ := strconv.Atoi(filepath.Base(d))
			return cpuSeconds(pid)
		}
	}
	return math.NaN()
}

// busy is how long the machine's cores have worked, of how long.
type busy struct{ work, all float64 }

func readBusy() (b busy) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, f := range strings.Fields(line)[1:] {
		v, _ := strconv.ParseFloat(f, 64)
		b.all += v
		if i != 3 && i != 4 { // idle, iowait
			b.work += v
		}
	}
	return b
}

func (b busy) since(a busy) float64 { return 100 * (b.work - a.work) / max(1, b.all-a.all) }

// quantile returns the q-quantile of durations, in milliseconds.
func quantile(ds []time.Duration, q float64) float64 {
	if len(ds) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(ds))
	at := max(1, int(math.Ceil(q*float64(len(s))))) - 1
	return float64(s[at].Microseconds()) / 1e3
}
