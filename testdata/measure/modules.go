package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// manyModules are registered, each with a fetch every manyEvery.
	manyModules = 200
	manyEvery   = 10 * time.Second
	// asked is how often /admin/modules is asked for meanwhile, a second.
	asked = 100
)

// measureModules runs an engine with many modules, asks it all the while, and
// starts it several times with all of them registered.
func measureModules(l *lab) error {
	w, err := l.manyModules("modules")
	if err != nil {
		return err
	}
	s, err := l.engine(w)
	if err != nil {
		return err
	}
	defer func() { s.stop() }()
	if err := s.until(l.ctx, time.Minute, func(loaded, fetched int) bool { return fetched >= manyModules }); err != nil {
		return err
	}
	// The first fetches come all at once; afterwards they have drifted apart.
	if err := wait(l.ctx, manyEvery); err != nil {
		return err
	}
	pid := s.cmd.Process.Pid
	cpu, began, load := cpuSeconds(pid), time.Now(), readBusy()
	took, failed := s.ask(l.ctx, l.window)
	secs := time.Since(began).Seconds()
	l.below(fmt.Sprintf("modules: CPU of the engine with %d at %s, asked %d times a second (the machine was %.0f %% busy)", manyModules, manyEvery, asked, readBusy().since(load)), 100*(cpuSeconds(pid)-cpu)/secs, 15, "% of a core")
	cpu, began = cpuSeconds(pid), time.Now()
	if err := wait(l.ctx, l.window); err != nil {
		return err
	}
	l.below("modules: the same, nobody asking", 100*(cpuSeconds(pid)-cpu)/time.Since(began).Seconds(), 15, "% of a core")
	l.below("modules: memory of the engine, without interpreters", memory(pid, "VmRSS"), 150, "MiB")
	n, pss := interpreters(pid)
	l.note("modules: interpreters, and their memory (PSS)", fmt.Sprintf("%d, %s MiB", n, number(pss)))
	l.below(fmt.Sprintf("modules: /admin/modules, p99 of %d", len(took)), quantile(took, .99), 50, "ms")
	l.note("modules: /admin/modules, median", number(quantile(took, .5))+" ms")
	if failed > 0 {
		l.failed("modules: /admin/modules", fmt.Errorf("%d of %d requests failed", failed, len(took)+failed))
	}
	s.stop()
	var starts []time.Duration
	for range l.runs {
		if s, err = l.engine(w); err != nil {
			return err
		}
		starts = append(starts, s.answered)
		s.stop()
	}
	l.below(fmt.Sprintf("modules: exec of opsdeck serve to /admin/health, %d registered, median of %d", manyModules, l.runs), quantile(starts, .5), 150, "ms")
	l.note("modules: the same, best and worst", fmt.Sprintf("%s to %s ms", number(quantile(starts, 0)), number(quantile(starts, 1))))
	return nil
}

// manyModules returns a workspace with many modules that work.
func (l *lab) manyModules(name string) (*workspace, error) {
	// Without the containers that others run on this host, which come and go.
	w, err := l.newWorkspace(name, "docker: {host: \"unix:///nonexistent/docker.sock\"}\n")
	if err != nil {
		return nil, err
	}
	for i := range manyModules {
		cat, plat := fmt.Sprintf("cat%d", i%10), fmt.Sprintf("plat%03d", i)
		dir := filepath.Join("modules", cat, plat)
		text := strings.Replace(manifest(cat, plat, "adapter.py"), `"interval_seconds": 2`, `"interval_seconds": `+strconv.FormatFloat(manyEvery.Seconds(), 'g', -1, 64), 1)
		if err := either(w.write(filepath.Join(dir, "manifest.json"), text), w.write(filepath.Join(dir, "adapter.py"), adapter(cat, plat, `[{"n": 1, "text": "some data"}]`))); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// served is an opsdeck serve.
type served struct {
	cmd      *exec.Cmd
	url      string
	answered time.Duration // from exec to its first answer
	once     sync.Once
}

func (l *lab) engine(w *workspace) (*served, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	s := &served{url: "http://" + addr}
	s.cmd = exec.CommandContext(l.ctx, l.bin, "serve", "--workspace", w.dir, "--listen", addr)
	s.cmd.Env = append(os.Environ(), "TZ=UTC")
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for time.Since(began) < 30*time.Second && l.ctx.Err() == nil {
		if resp, err := http.Get(s.url + "/admin/health"); err == nil {
			_ = resp.Body.Close()
			if s.answered = time.Since(began); resp.StatusCode == http.StatusOK {
				return s, nil
			}
			s.stop()
			return nil, fmt.Errorf("/admin/health answers %s", resp.Status)
		}
		time.Sleep(time.Millisecond)
	}
	s.stop()
	return nil, fmt.Errorf("/admin/health does not answer")
}

func (s *served) stop() {
	s.once.Do(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		_ = s.cmd.Wait()
	})
}

// until waits for a number of loaded modules and of those that have fetched.
func (s *served) until(ctx context.Context, patience time.Duration, want func(loaded, fetched int) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		resp, err := http.Get(s.url + "/admin/modules")
		if err != nil {
			return err
		}
		var got struct {
			Loaded  int `json:"loaded"`
			Modules []struct {
				Count int `json:"success_count"`
			} `json:"modules"`
		}
		err = json.NewDecoder(resp.Body).Decode(&got)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		fetched := 0
		for _, m := range got.Modules {
			if m.Count > 0 {
				fetched++
			}
		}
		if want(got.Loaded, fetched) {
			return nil
		}
		if err := wait(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("%d modules are loaded and %d have fetched after %s", got.Loaded, fetched, patience)
		}
	}
}

// ask asks for all modules at a steady rate, each time whether or not the last was
// answered.
func (s *served) ask(ctx context.Context, d time.Duration) (took []time.Duration, failed int) {
	tick := time.NewTicker(time.Second / asked)
	defer tick.Stop()
	end := time.After(d)
	var mu sync.Mutex
	var wg sync.WaitGroup
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: asked}}
	defer c.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
		case <-end:
		case <-tick.C:
			wg.Go(func() {
				began := time.Now()
				resp, err := c.Get(s.url + "/admin/modules")
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
					if err == nil && resp.StatusCode != http.StatusOK {
						err = fmt.Errorf("%s", resp.Status)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed++
					return
				}
				took = append(took, time.Since(began))
			})
			continue
		}
		wg.Wait()
		return took, failed
	}
}

// interpreters counts the processes below one, and sums their memory in MiB, shared
// pages by their share.
func interpreters(pid int) (n int, pss float64) {
	below := map[int]bool{pid: true}
	for again := true; again; {
		again = false
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, d := range dirs {
			p, _ := strconv.Atoi(filepath.Base(d))
			b, _ := os.ReadFile(d + "/stat")
			_, rest, _ := strings.Cut(string(b), ") ")
			f := strings.Fields(rest)
			if len(f) < 2 || below[p] {
				continue
			}
			if parent, _ := strconv.Atoi(f[1]); below[parent] {
				below[p], again = true, true
				n++
				text, _ := os.ReadFile(d + "/smaps_rollup")
				for line := range strings.Lines(string(text)) {
					if v, ok := strings.CutPrefix(line, "Pss:"); ok {
						kb, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
						pss += kb / 1024
					}
				}
			}
		}
	}
	return n, pss
}
