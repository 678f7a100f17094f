package backend

import (
	"context"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// selfEvery is how often the engine's own use of the machine is read.
const selfEvery = 5 * time.Second

// watchSelf publishes the process's own CPU and memory until ctx ends.
func (h *Hub) watchSelf(ctx context.Context) {
	tick := time.NewTicker(selfEvery)
	defer tick.Stop()
	used, at := cpuTime(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			cpu := cpuTime()
			percent := 100 * (cpu - used).Seconds() / now.Sub(at).Seconds()
			used, at = cpu, now
			rss := residentBytes()
			h.SetWorkspace(func(w *state.Workspace) { w.CPUPercent, w.RSSBytes = percent, rss })
		}
	}
}

// cpuTime returns the process's user and system time so far.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
