package docker

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// reading is one of ours, at its time.
type reading struct {
	at       time.Time
	cpu, mem float64 // seconds since start, bytes
}

// TestFiguresAreThoseOfDockerStatsInTheSameSecond compares what is read from cgroups
// with what the docker stats command would print for the engine's own samples: CPU
// within 5 % or half a point, memory within 1 %.
func TestFiguresAreThoseOfDockerStatsInTheSameSecond(t *testing.T) {
	engineHere(t)
	const hold = "dd if=/dev/zero of=/dev/shm/x bs=1M count=24 2>/dev/null; "
	loads := map[string]string{
		start(t, "idle", "--", "sh", "-c", hold+"sleep 1000"):                                                                      "idle",
		start(t, "half", "--cpus", "0.4", "--memory", "64m", "--", "sh", "-c", hold+"while :; do :; done"):                         "a quota of 40 %",
		start(t, "bursts", "--", "sh", "-c", hold+"while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sleep 0.05; done"): "bursts",
	}
	src := New(Config{Interval: 50 * time.Millisecond}) // so that the engine's second can be cut out of ours
	var mu sync.Mutex
	ours := map[string][]reading{}
	ids := map[string]string{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = src.Run(ctx, func(sec state.Section) {
			mu.Lock()
			defer mu.Unlock()
			for _, c := range sec.(state.Containers).List {
				l := ours[c.Title]
				if loads[c.Title] == "" || c.CPUSeconds < 0 || len(l) > 0 && l[len(l)-1].at.Equal(c.Sampled) {
					continue
				}
				ids[c.Title] = c.ID
				ours[c.Title] = append(l, reading{c.Sampled, c.CPUSeconds, c.MemBytes})
			}
		})
	}()
	defer func() { cancel(); <-done }()
	ready := func() bool {
		mu.Lock()
		defer mu.Unlock()
		for name := range loads {
			if l := ours[name]; len(l) < 3 || l[len(l)-1].mem < 24<<20 {
				return false
			}
		}
		return true
	}
	sourcetest.Until(t, "the containers have figures", ready)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	cli, err := src.engine()
	if err != nil {
		t.Fatal(err)
	}
	// at is ours at a time, between the two readings around it.
	at := func(name string, when time.Time) (reading, bool) {
		mu.Lock()
		defer mu.Unlock()
		l := ours[name]
		for i := 1; i < len(l); i++ {
			if a, b := l[i-1], l[i]; !when.Before(a.at) && when.Before(b.at) {
				part := when.Sub(a.at).Seconds() / b.at.Sub(a.at).Seconds()
				return reading{when, a.cpu + part*(b.cpu-a.cpu), a.mem + part*(b.mem-a.mem)}, true
			}
		}
		return reading{}, false
	}
	const samples = 6
	var wg sync.WaitGroup
	for name, load := range loads {
		mu.Lock()
		id := ids[name]
		mu.Unlock()
		wg.Go(func() {
			res, err := cli.ContainerStats(ctx, id, client.ContainerStatsOptions{Stream: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			in := json.NewDecoder(res.Body)
			var theirs, own, memTheirs, memOwn float64
			n := 0
			for n < samples {
				var v container.StatsResponse
				if err := in.Decode(&v); err != nil {
					t.Errorf("%s: %v", load, err)
					return
				}
				if v.PreRead.IsZero() || v.PreCPUStats.SystemUsage == 0 {
					continue
				}
				begin, ok := at(name, v.PreRead)
				end, ok2 := at(name, v.Read)
				for tries := 0; !ok2 && tries < 100; tries++ { // ours of after the engine's
					<-tick.C
					end, ok2 = at(name, v.Read)
				}
				if !ok || !ok2 {
					continue
				}
				// As docker's calculateCPUPercentUnix and calculateMemUsageUnixNoCache have it.
				theirs += 100 * float64(v.CPUStats.CPUUsage.TotalUsage-v.PreCPUStats.CPUUsage.TotalUsage) /
					float64(v.CPUStats.SystemUsage-v.PreCPUStats.SystemUsage) * float64(v.CPUStats.OnlineCPUs)
				own += 100 * (end.cpu - begin.cpu) / end.at.Sub(begin.at).Seconds()
				memTheirs += fromStats(v).mem
				memOwn += end.mem
				n++
			}
			theirs, own, memTheirs, memOwn = theirs/samples, own/samples, memTheirs/samples, memOwn/samples
			t.Logf("%s: CPU %.2f %% ours, %.2f %% docker's; memory %.0f ours, %.0f docker's", load, own, theirs, memOwn, memTheirs)
			if d := math.Abs(own - theirs); d > 0.5 && d > 0.05*theirs {
				t.Errorf("%s: CPU is %.2f %%, docker stats says %.2f %%", load, own, theirs)
			}
			if d := math.Abs(memOwn - memTheirs); d > 0.01*memTheirs {
				t.Errorf("%s: memory is %.0f, docker stats says %.0f", load, memOwn, memTheirs)
			}
		})
	}
	wg.Wait()
}
