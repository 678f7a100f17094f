package docker

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// benchContainers starts what a benchmark measures: as many containers as
// OPSDECK_BENCH_CONTAINERS says, and at least five.
func benchContainers(b *testing.B, name string) int {
	b.Helper()
	engineHere(b)
	n, _ := strconv.Atoi(os.Getenv("OPSDECK_BENCH_CONTAINERS"))
	n = max(n, 5)
	for i := range n {
		start(b, fmt.Sprintf("%s-%d", name, i), "--net", "none", "--", "sleep", "1000")
	}
	return n
}

// BenchmarkSweep measures one sweep over the cgroups of all running containers.
func BenchmarkSweep(b *testing.B) {
	n := benchContainers(b, "bench")
	src := New(Config{Interval: time.Hour})
	r := sourcetest.Run(b, src)
	sourcetest.Wait(r, "all measured", func(s state.Containers) bool {
		known := 0
		for _, c := range s.List {
			if c.MemBytes > 0 {
				known++
			}
		}
		return known >= n
	})
	mounts, err := readMounts()
	if err != nil {
		b.Skip(err)
	}
	rr := &run{local: true, mounts: mounts, buf: make([]byte, 64<<10), hostMem: hostMemory(), s: src, byID: map[string]*track{}, dirty: map[string]bool{}, put: func(state.Section) {}}
	cli, err := src.engine()
	if err != nil {
		b.Fatal(err)
	}
	rr.cli, rr.results = cli, make(chan result, 1)
	if err := rr.readList(b.Context()); err != nil {
		b.Fatal(err)
	}
	for rr.toInspect() > 0 {
		rr.inspect(b.Context())
		res := <-rr.results
		rr.inspecting = false
		rr.take(res)
	}
	rr.sort()
	rr.sweep(b.Context())
	for b.Loop() {
		rr.sweep(b.Context())
		rr.publish()
	}
	b.ReportMetric(float64(len(rr.order)), "containers")
	for _, t := range rr.byID {
		t.closeReader()
	}
}

// BenchmarkSteadyState runs the source for ten seconds over what is there, and
// reports this process's and the engine's share of a core.
func BenchmarkSteadyState(b *testing.B) {
	engineHere(b)
	if runtime.GOOS != "linux" {
		b.Skip("reads /proc")
	}
	n := benchContainers(b, "steady")
	r := sourcetest.Run(b, New(Config{}))
	sourcetest.Wait(r, "figures", func(s state.Containers) bool {
		return len(s.List) >= n && has(s, s.List[0].Title, func(c *state.Container) bool { return c.CPUPercent >= 0 })
	})
	self := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for b.Loop() {
		own, engine, at := self(), engineCPU(), time.Now()
		<-time.After(10 * time.Second) // what is measured is time passing
		dt := time.Since(at).Seconds()
		b.ReportMetric(100*(self()-own).Seconds()/dt, "%core")
		b.ReportMetric(100*(engineCPU()-engine)/dt, "%core-engine")
	}
}

// engineCPU returns the CPU seconds that dockerd has used.
func engineCPU() float64 {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		if c, err := os.ReadFile(d + "/comm"); err != nil || strings.TrimSpace(string(c)) != "dockerd" {
			continue
		}
		b, _ := os.ReadFile(d + "/stat")
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		if len(f) > 12 {
			u, _ := strconv.ParseFloat(f[11], 64)
			s, _ := strconv.ParseFloat(f[12], 64)
			return (u + s) / 100
		}
	}
	return 0
}

// TestNoRequestsForWhatEventsReport counts the calls to an engine of 2000 containers
// that speaks the API.
func TestNoRequestsForWhatEventsReport(t *testing.T) {
	var mu sync.Mutex
	calls := map[string]int{}
	events := make(chan string, 1)
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	count := func(name string) { mu.Lock(); calls[name]++; mu.Unlock() }
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
		parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		switch last := parts[len(parts)-1]; {
		case last == "_ping":
			_, _ = fmt.Fprint(w, "OK")
		case last == "version":
			reply(w, map[string]string{"Version": "20.10", "ApiVersion": "1.41", "MinAPIVersion": "1.12"})
		case last == "info":
			reply(w, map[string]int{"NCPU": 4})
		case last == "events":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			for {
				select {
				case e := <-events:
					_, _ = fmt.Fprintln(w, e)
					w.(http.Flusher).Flush()
				case <-r.Context().Done():
					return
				}
			}
		case parts[len(parts)-2] == "containers" && last == "json":
			count("list")
			var list []map[string]any
			for i := range 2000 {
				list = append(list, map[string]any{"Id": fmt.Sprintf("%064d", i), "Names": []string{fmt.Sprintf("/c%04d", i)}, "Image": "x", "State": "exited", "Status": "Exited (3) 2 hours ago"})
			}
			reply(w, list)
		case last == "json":
			count("inspect")
			id := parts[len(parts)-2]
			reply(w, map[string]any{"Id": id, "Name": "/c" + id[60:], "State": map[string]any{"Status": "exited", "ExitCode": 3}, "Config": map[string]any{"Image": "x"}})
		default:
			count(last)
			http.NotFound(w, r)
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	src := New(Config{Host: "tcp://" + srv.Listener.Addr().String(), Interval: 5 * time.Millisecond})
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "the list", func(s state.Containers) bool { return len(s.List) == 2000 })
	if c := s.Container("c0007"); c.ExitCode != 3 || c.State != "exited" {
		t.Errorf("from the list alone: %+v", c)
	}
	total := func() int { mu.Lock(); defer mu.Unlock(); return calls["inspect"] }
	sourcetest.Until(t, "each has been inspected", func() bool { return total() >= 2000 })
	events <- fmt.Sprintf(`{"Type":"container","Action":"start","Actor":{"ID":"%064d","Attributes":{"name":"c0007"}},"timeNano":1}`, 7)
	sourcetest.Until(t, "the one that started has been inspected again", func() bool { return total() >= 2001 })
	events <- `{"Type":"container","Action":"destroy","Actor":{"ID":"` + fmt.Sprintf("%064d", 8) + `"}}`
	sourcetest.Wait(r, "one gone", func(s state.Containers) bool { return len(s.List) == 1999 })
	mu.Lock()
	defer mu.Unlock()
	if calls["list"] != 1 || calls["inspect"] != 2001 || calls["stats"] != 0 {
		t.Errorf("calls: %v, want one list and an inspect for each container and event", calls)
	}
}
