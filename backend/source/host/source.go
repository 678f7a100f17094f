package host

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	interval   = 2 * time.Second
	firstSweep = 200 * time.Millisecond // CPU needs two samples
	readLimit  = 5 * time.Second
	historyLen = 60
)

// Source is the host source.
type Source struct {
	every time.Duration
	mask  func(string) string
	// viewed is set while the processes are shown, and wakes Run.
	viewed atomic.Bool
	wake   chan struct{}
	// reading is the sweep that is under way, or hangs; there is never a second.
	reading chan reading
}

// reading is what one sweep read.
type reading struct {
	h   state.Host
	err error
}

// New returns a source. mask removes known secrets from command lines.
func New(mask func(string) string) *Source {
	return &Source{every: interval, mask: mask, wake: make(chan struct{}, 1)}
}

// Interest implements state.Interested.
func (s *Source) Interest(in state.Interests) {
	if on := len(in.Keys(state.LookProcesses)) > 0; s.viewed.Swap(on) != on && on {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Name implements state.Source.
func (*Source) Name() string { return "host" }

// Sections implements state.Source.
func (*Source) Sections() []state.SectionName { return []state.SectionName{state.SectionHost} }

// cpuTimes are seconds since boot by mode, summed over all cores.
type cpuTimes map[string]float64

// busy returns the part of the time between two samples in which the cores worked, in
// percent of all cores, or negative.
func busy(a, b cpuTimes) float64 {
	total, idle := 0.0, 0.0
	for mode, v := range b {
		d := v - a[mode]
		total += d
		if mode == "idle" || mode == "iowait" {
			idle += d
		}
	}
	if len(a) == 0 || total <= 0 {
		return -1
	}
	return max(0, min(100, 100*(total-idle)/total))
}

// newHost returns a section of which nothing is known.
func newHost() state.Host {
	h := state.Host{OS: runtime.GOOS, Cores: runtime.NumCPU(), CPUPercent: -1, Load1: -1, Load5: -1, Load15: -1,
		MemTotal: -1, MemUsed: -1, SwapTotal: -1, SwapUsed: -1, Uptime: -1, ClockErr: -1, Tasks: -1, Files: -1, FilesMax: -1}
	if name, err := os.Hostname(); err == nil {
		h.Hostname = state.Clean(name)
	}
	return h
}

// Run implements state.Source.
func (s *Source) Run(ctx context.Context, put func(state.Section)) error {
	var last cpuTimes
	var cpu, mem []float64
	var nets netTimes
	var fill filling
	seen := false
	procs := newProcesses(s.mask)
	wait := time.NewTimer(0)
	defer wait.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wait.C:
		case <-s.wake:
			wait.Stop()
		}
		viewed := s.viewed.Load()
		if s.reading == nil {
			got := make(chan reading, 1)
			s.reading = got
			go func() {
				h := newHost()
				err := read(&h)
				if err == nil && viewed {
					procs.read(&h)
				}
				got <- reading{h, err}
			}()
		}
		limit := time.NewTimer(readLimit)
		var r reading
		select {
		case r = <-s.reading:
			s.reading = nil
			limit.Stop()
		case <-limit.C:
			return fmt.Errorf("host: reading this machine's figures did not end within %s: a disk or a mount may hang: see dmesg and mount", readLimit)
		case <-ctx.Done():
			limit.Stop()
			return ctx.Err()
		}
		if r.err != nil {
			return fmt.Errorf("host: %w", r.err)
		}
		h := r.h
		h.CPUPercent = busy(last, h.CPUSeconds)
		if len(h.CPUSeconds) > 0 {
			last = h.CPUSeconds
		}
		if h.CPUPercent >= 0 && n != 1 {
			cpu = push(cpu, h.CPUPercent)
		}
		if h.MemUsed >= 0 && n != 1 {
			mem = push(mem, h.MemUsed)
		}
		h.CPUHistory, h.MemHistory = cpu, mem
		nets.rates(h.Nets)
		fill.forecast(h.Disks, time.Now())
		put(h)
		first := viewed && !seen
		seen = viewed
		next := s.every
		if n == 0 || first { // the figures of processes need two as well
			next = min(next, firstSweep)
		}
		wait.Reset(next)
	}
}

// push appends to a copy: what was published is never written again.
func push(h []float64, v float64) []float64 {
	out := make([]float64, 0, historyLen)
	return append(append(out, h[max(0, len(h)-historyLen+1):]...), v)
}
