package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// consumers follow the pipeline stream, slowConsumers of them reading a line only
	// every slowEvery.
	consumers, slowConsumers = 50, 10
	slowEvery                = 3 * time.Second
	// warmUp goes before the time that growth is counted in: caches fill, and the head of
	// the metrics store, which holds up to one and a half blocks of 30 minutes before it is
	// cut, grows to its full size.
	warmUp = 45 * time.Minute
)

// measureSoak runs an engine with many modules for a long time, asked and followed
// all the while, and tells how its memory and descriptors grow. It only runs when a
// time is given for it, which goes after a warm-up of at most three quarters of it.
func measureSoak(l *lab) error {
	if l.soak == 0 {
		l.note("soak", "not asked for: -soak 1h")
		return nil
	}
	w, err := l.manyModules("soak")
	if err != nil {
		return err
	}
	s, err := l.engine(w)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.until(l.ctx, 2*time.Minute, func(_, fetched int) bool { return fetched >= manyModules }); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var events, ended atomic.Int64
	for i := range consumers {
		wg.Go(func() { s.follow(ctx, i < slowConsumers, &events, &ended) })
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = s.ask(ctx, time.Second)
			_ = wait(ctx, 9*time.Second)
		}
	})
	pid := s.cmd.Process.Pid
	var minutes, rss, fds, threads []float64
	var first, last map[string]int
	tick := time.NewTicker(min(30*time.Second, l.soak/40))
	defer tick.Stop()
	warm := min(warmUp, l.soak*3/4)
	began, cpu := time.Now(), cpuSeconds(pid)
	for time.Since(began) < warm+l.soak {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if time.Since(began) < warm {
			continue
		}
		minutes = append(minutes, time.Since(began).Minutes())
		rss = append(rss, memory(pid, "VmRSS"))
		threads = append(threads, memory(pid, "Threads")*1024)
		if last = descriptors(pid); first == nil {
			first = last
		}
		open := 0
		for kind, n := range last {
			if !blockFiles.MatchString(kind) {
				open += n
			}
		}
		fds = append(fds, float64(open))
	}
	for _, kind := range slices.Sorted(maps.Keys(last)) {
		l.note("soak: open at first and at last: "+kind, fmt.Sprintf("%d, %d", first[kind], last[kind]))
	}
	l.note("soak: warm-up and length, modules, consumers", fmt.Sprintf("%s and %s, %d, %d of which %d slow", warm, l.soak, manyModules, consumers, slowConsumers))
	l.note("soak: CPU of the engine", fmt.Sprintf("%s %% of a core", number(100*(cpuSeconds(pid)-cpu)/time.Since(began).Seconds())))
	l.note("soak: events received, streams that broke", fmt.Sprintf("%d, %d", events.Load(), ended.Load()))
	l.note("soak: memory", fmt.Sprintf("%s to %s MiB", number(quantileOf(rss, 0)), number(quantileOf(rss, 1))))
	for _, c := range []struct {
		what, unit string
		ys         []float64
		most       float64 // growth in an hour that is taken for none
	}{{"memory", "MiB an hour", rss, 8}, {"open descriptors but for the store's blocks", "an hour", fds, 4}, {"threads", "an hour", threads, 4}} {
		per, err := slope(minutes, c.ys)
		l.below(fmt.Sprintf("soak: growth of %s (standard error %s)", c.what, number(err*60)), per*60, c.most, c.unit)
	}
	return nil
}

// blockFiles are the folders of a block of the metrics store. A block holds its files
// open for as long as it is kept, which compaction and retention bound: there are more of
// them after an hour and not after a week.
var blockFiles = regexp.MustCompile(`/metrics/[0-9A-Z]{26}(/|$)`)

// descriptors counts what a process has open, by kind: "socket", "pipe", a path's folder.
func descriptors(pid int) map[string]int {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, _ := os.ReadDir(dir)
	kinds := map[string]int{}
	for _, fd := range open {
		to, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if kind, _, ok := strings.Cut(to, ":["); ok {
			to = kind
		} else if strings.HasPrefix(to, "/") {
			to = filepath.Dir(to)
		}
		kinds[to]++
	}
	return kinds
}

// follow reads the pipeline stream until ctx ends, and connects again when it breaks.
func (s *served) follow(ctx context.Context, slow bool, events, ended *atomic.Int64) {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/stream/pipeline-state", nil)
		if err != nil {
			return
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			sc := bufio.NewScanner(resp.Body)
			sc.Buffer(nil, 4<<20)
			for sc.Scan() {
				if strings.HasPrefix(sc.Text(), "data:") {
					events.Add(1)
					if slow {
						_ = wait(ctx, slowEvery)
					}
				}
			}
			_ = resp.Body.Close()
		}
		if ctx.Err() == nil {
			ended.Add(1)
			_ = wait(ctx, time.Second)
		}
	}
}

// slope returns the least-squares slope of ys over xs, and its standard error.
func slope(xs, ys []float64) (per, err float64) {
	n := float64(len(xs))
	if n < 3 {
		return math.NaN(), math.NaN()
	}
	var sx, sy, sxx, sxy float64
	for i := range xs {
		sx, sy, sxx, sxy = sx+xs[i], sy+ys[i], sxx+xs[i]*xs[i], sxy+xs[i]*ys[i]
	}
	d := n*sxx - sx*sx
	per = (n*sxy - sx*sy) / d
	at := (sy - per*sx) / n
	var rest float64
	for i := range xs {
		r := ys[i] - at - per*xs[i]
		rest += r * r
	}
	return per, math.Sqrt(rest / (n - 2) * n / d)
}

func quantileOf(vs []float64, q float64) float64 {
	out := math.NaN()
	for _, v := range vs {
		if math.IsNaN(out) || q == 0 && v < out || q == 1 && v > out {
			out = v
		}
	}
	return out
}
