package docker

import (
	"context"
	"encoding/json"
	"runtime"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// statsAtOnce bounds the one-shot stats under way.
const statsAtOnce = 8

type statResult struct {
	id string
	s  sample
	ok bool
}

func onlineCPUs() int { return runtime.NumCPU() }

// fetchStats requests from the engine the figures that cannot be read here. The next
// round begins only when this one is over, so a slow engine is polled less often.
func (r *run) fetchStats(ctx context.Context, ids []string) {
	r.sweeping = true
	r.wg.Go(func() {
		out := make([]statResult, len(ids))
		each(len(ids), statsAtOnce, func(i int) {
			c, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			out[i].id = ids[i]
			res, err := r.cli.ContainerStats(c, ids[i], client.ContainerStatsOptions{})
			if err != nil {
				return
			}
			defer func() { _ = res.Body.Close() }()
			var v container.StatsResponse
			if json.NewDecoder(res.Body).Decode(&v) == nil {
				out[i].s, out[i].ok = fromStats(v), true
			}
		})
		r.statsDone <- out
	})
}

func (r *run) takeStats(got []statResult) {
	for _, g := range got {
		t := r.byID[g.id]
		if t == nil || !t.running() {
			continue
		}
		if g.ok {
			t.apply(g.s)
		} else {
			t.unknown()
		}
	}
}

// fromStats turns the engine's answer into a sample, as docker stats reads it.
func fromStats(v container.StatsResponse) sample {
	s := noSample()
	s.at = v.Read
	if s.at.Year() <= 1 {
		s.at = time.Now()
	}
	s.cpu = float64(v.CPUStats.CPUUsage.TotalUsage)
	if m := v.MemoryStats; m.Usage > 0 {
		s.mem = float64(m.Usage)
		cache, ok := m.Stats["total_inactive_file"]
		if !ok {
			cache = m.Stats["inactive_file"]
		}
		if cache < m.Usage {
			s.mem -= float64(cache)
		}
		s.limit = float64(m.Limit)
	}
	s.pids = float64(v.PidsStats.Current)
	s.netRx, s.netTx = 0, 0
	for _, n := range v.Networks {
		s.netRx += float64(n.RxBytes)
		s.netTx += float64(n.TxBytes)
	}
	s.blkRead, s.blkWrite = 0, 0
	for _, e := range v.BlkioStats.IoServiceBytesRecursive {
		switch e.Op {
		case "Read", "read":
			s.blkRead += float64(e.Value)
		case "Write", "write":
			s.blkWrite += float64(e.Value)
		}
	}
	return s
}
