package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const crowdKeys = 120 // of each kind

// measureCrowd lists, sorts, filters and scrolls more containers than a machine can
// run, on a socket that speaks the Docker Engine API: 1000 that run and are measured
// through it, and 30,000 of which 50 run.
func measureCrowd(l *lab) error {
	for _, c := range []struct{ all, running int }{{1000, 1000}, {30_000, 50}} {
		if err := l.crowd(c.all, c.running); err != nil {
			return fmt.Errorf("%d containers: %w", c.all, err)
		}
	}
	return nil
}

func (l *lab) crowd(all, running int) error {
	host, end, err := l.engineOf(all, running)
	if err != nil {
		return err
	}
	defer end()
	w := &workspace{dir: filepath.Join(l.dir, fmt.Sprintf("crowd-%d", all))}
	if err := w.write("opsdeck.yaml", fmt.Sprintf("name: crowd\ndocker: {host: %q}\n", host)); err != nil {
		return err
	}
	t, err := l.terminal(l.bin, "--workspace", w.dir, "--listen", "off", "--pane", "containers")
	if err != nil {
		return err
	}
	defer t.close()
	began := time.Now()
	listed, err := t.await(fmt.Sprintf("%d of ", running), 20*time.Second)
	if err != nil {
		return err
	}
	what := func(s string) string { return fmt.Sprintf("crowd: %d containers, %d run: %s", all, running, s) }
	l.note(what("listed after"), fmt.Sprintf("%d ms", listed.Sub(began).Milliseconds()))
	t.drain(time.Second)
	for still := time.Now().Add(60 * time.Second); all > running && time.Now().Before(still); { // until the stopped are inspected
		before := cpuSeconds(t.cmd.Process.Pid)
		t.forget(time.Second)
		if cpuSeconds(t.cmd.Process.Pid)-before < 0.2 {
			break
		}
	}
	cpu, at := cpuSeconds(t.cmd.Process.Pid), time.Now()
	t.forget(5 * time.Second)
	l.note(what("CPU of one core while nothing is touched, memory"), fmt.Sprintf("%s %%, %s MiB",
		number(100*(cpuSeconds(t.cmd.Process.Pid)-cpu)/time.Since(at).Seconds()), number(memory(t.cmd.Process.Pid, "VmRSS"))))
	for _, k := range []struct {
		what string
		keys []string
	}{
		{"a row down and up", []string{"j", "j", "j", "j", "k", "k"}},
		{"a page down and up", []string{"\x1b[6~", "\x1b[5~"}},
		{"to the end and the beginning", []string{"G", "g"}},
		{"sort by the next column", []string{"s"}},
		{"a filter is typed", []string{"/", "s", "e", "r", "v", "\x1b"}},
		{"a filter of figures is typed", []string{"/", "c", "p", "u", ">", "1", "\x1b"}},
	} {
		var took []time.Duration
		for i := 0; i < crowdKeys; i++ {
			key := k.keys[i%len(k.keys)]
			at, err := t.key(key)
			if err != nil {
				return err
			}
			drawn, err := t.await("", 5*time.Second)
			if err != nil {
				return fmt.Errorf("%s: key %q: %w", k.what, key, err)
			}
			if key != "\x1b" { // which a terminal waits after: it may begin a sequence
				took = append(took, drawn.Sub(at))
			}
			t.drain(40*time.Millisecond + rand.N(40*time.Millisecond))
		}
		l.note(what(k.what+": key to frame, median and max"), fmt.Sprintf("%s, %s ms", number(quantile(took, .5)), number(quantile(took, 1))))
		if p95 := quantile(took, .95); all > 1000 {
			l.note(what(k.what+": key to frame, p95"), number(p95)+" ms")
		} else {
			l.below(what(k.what+": key to frame, p95"), p95, 30, "ms")
		}
	}
	return nil
}

// forget drops what comes for so long.
func (t *terminal) forget(d time.Duration) {
	for end := time.After(d); ; {
		select {
		case _, ok := <-t.chunks:
			if !ok {
				return
			}
		case <-end:
			return
		}
	}
}

// engineOf returns a socket that speaks the Docker Engine API for so many containers. Those
// that run use more of the processor every second, each in its own measure.
func (l *lab) engineOf(all, running int) (host string, end func(), err error) {
	began := time.Now()
	status := func(i int) (word, text string) {
		if i < running {
			return "running", "Up 2 hours"
		}
		return "exited", "Exited (0) 2 hours ago"
	}
	name := func(i int) string { return fmt.Sprintf("project%04d-service-%d-1", i/10, i%10) }
	labels := func(i int) map[string]string {
		return map[string]string{"com.docker.compose.project": fmt.Sprintf("project%04d", i/10), "com.docker.compose.service": fmt.Sprintf("service-%d", i%10)}
	}
	list := make([]map[string]any, all)
	for i := range list {
		word, text := status(i)
		list[i] = map[string]any{"Id": fmt.Sprintf("%064d", i), "Names": []string{"/" + name(i)}, "Image": "team/service:2.4", "State": word, "Status": text, "Created": 1700000000 + i, "Labels": labels(i)}
	}
	listed, err := json.Marshal(list)
	if err != nil {
		return "", nil, err
	}
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
		w.Header().Set("Content-Type", "application/json")
		p := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		last, i := p[len(p)-1], 0
		if len(p) > 2 {
			i, _ = strconv.Atoi(p[len(p)-2])
		}
		switch {
		case last == "version":
			_, _ = io.WriteString(w, `{"Version":"20.10","ApiVersion":"1.41","MinAPIVersion":"1.12"}`)
		case last == "events":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case last == "json" && p[len(p)-2] == "containers":
			_, _ = w.Write(listed)
		case last == "json" && p[len(p)-3] == "containers":
			word, _ := status(i)
			pid := 0
			if i < running {
				pid = 1 << 30 // which no process here has
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"Id": fmt.Sprintf("%064d", i), "Name": "/" + name(i), "State": map[string]any{"Status": word, "Pid": pid, "StartedAt": "2026-11-20T08:00:00Z"},
				"Config": map[string]any{"Image": "team/service:2.4", "Labels": labels(i)}, "HostConfig": map[string]any{}})
		case last == "stats":
			used := time.Since(began).Nanoseconds() / 1000 * int64(i%40)
			_ = json.NewEncoder(w).Encode(map[string]any{"read": time.Now(), "cpu_stats": map[string]any{"cpu_usage": map[string]any{"total_usage": used}, "online_cpus": 2},
				"memory_stats": map[string]any{"usage": (i%97 + 3) << 20, "limit": 1 << 30}, "pids_stats": map[string]any{"current": 1 + i%9}})
		default:
			_, _ = io.WriteString(w, `{}`)
		}
	}
	path := filepath.Join(l.dir, fmt.Sprintf("engine-%d.sock", all))
	ln, err := net.Listen("unix", path)
	if err != nil {
		return "", nil, err
	}
	srv := &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(ln) }()
	return "unix://" + path, func() { _ = srv.Close() }, nil
}
