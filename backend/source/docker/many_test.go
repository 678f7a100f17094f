package docker

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// manyContainers returns an engine's socket with n containers, of which every 600th runs.
func manyContainers(b *testing.B, n int) string {
	b.Helper()
	list := make([]map[string]any, n)
	for i := range list {
		st, status := "exited", "Exited (0) 2 hours ago"
		if i%600 == 0 {
			st, status = "running", "Up 2 hours"
		}
		list[i] = map[string]any{"Id": fmt.Sprintf("%064d", i), "Names": []string{fmt.Sprintf("/project%04d-service-%d-1", i/10, i%10)}, "Image": "registry.example/team/service:2.4", "State": st, "Status": status, "Created": 1700000000 + i,
			"Labels": map[string]string{projectLabel: fmt.Sprintf("project%04d", i/10), serviceLabel: fmt.Sprintf("service-%d", i%10), "maintainer": "team"}}
	}
	all, err := json.Marshal(list)
	if err != nil {
		b.Fatal(err)
	}
	mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
		w.Header().Set("Content-Type", "application/json")
		p := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		switch last := p[len(p)-1]; {
		case last == "version":
			_, _ = io.WriteString(w, `{"Version":"20.10","ApiVersion":"1.41","MinAPIVersion":"1.12"}`)
		case last == "events":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case last == "json" && p[len(p)-2] == "containers":
			_, _ = w.Write(all)
		case last == "json":
			id := p[len(p)-2]
			i, _ := strconv.Atoi(id)
			st := "exited"
			if i%600 == 0 {
				st = "running"
			}
			_, _ = fmt.Fprintf(w, `{"Id":%q,"Name":"/project%04d-service-%d-1","State":{"Status":%q,"Pid":0},"Config":{"Image":"x","Labels":{%q:"project%04d"}}}`, id, i/10, i%10, st, projectLabel, i/10)
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	})
	path := filepath.Join(b.TempDir(), "d.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() { _ = srv.Serve(ln); close(served) }()
	b.Cleanup(func() { _ = srv.Close(); <-served })
	return "unix://" + path
}

// BenchmarkManyContainers measures 30,000 containers, most of them stopped: until the
// first list is there, and then to publish it, which happens once a second.
func BenchmarkManyContainers(b *testing.B) {
	host := manyContainers(b, 30000)
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			r := sourcetest.Run(b, New(Config{Host: host}))
			sourcetest.Wait(r, "the list", func(s state.Containers) bool { return len(s.List) == 30000 })
			b.StopTimer()
			r.Stop()
			b.StartTimer()
		}
	})
	b.Run("publish", func(b *testing.B) {
		src := New(Config{Host: host})
		e, err := src.cfg.resolve()
		if err != nil {
			b.Fatal(err)
		}
		l, err := e.dial(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		r := &run{s: src, cli: l.Client, byID: map[string]*track{}, dirty: map[string]bool{}, put: func(state.Section) {}}
		if err := r.readList(b.Context()); err != nil {
			b.Fatal(err)
		}
		r.publish()
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportAllocs()
		for b.Loop() {
			r.sweep(b.Context())
			r.publish()
		}
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-held")
	})
}
