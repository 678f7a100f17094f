package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	floodRate  = 500_000
	floodSecs  = 10
	floodTimes = 10 // of renames, and of truncations
)

// measureFlood follows a flood, through the command line and through the engine.
func measureFlood(l *lab) error {
	for _, mode := range []struct {
		name string
		args []string
	}{
		{"renames", []string{"-renames", fmt.Sprint(2 * floodTimes)}},
		{"renames and truncations", []string{"-renames", fmt.Sprint(floodTimes), "-truncates", fmt.Sprint(floodTimes)}},
		{"renames and copy-truncations", []string{"-renames", fmt.Sprint(floodTimes), "-truncates", fmt.Sprint(floodTimes), "-copy"}},
	} {
		if err := l.floodEngine(mode.name, mode.args); err != nil {
			return err
		}
		if err := l.floodCommand(mode.name, mode.args); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) flood(path string, args []string) (func() (written, error), error) {
	return l.writer(append([]string{"-f", path, "-rate", fmt.Sprint(floodRate), "-secs", fmt.Sprint(floodSecs)}, args...)...)
}

// logSource is what the API says of a followed file.
type logSource struct {
	Path        string `json:"path"`
	Lines       int64  `json:"lines"`
	Rotations   int    `json:"rotations"`
	Truncations int    `json:"truncations"`
	LostBytes   int64  `json:"lost_bytes"`
}

// floodEngine follows with a running engine and asks it over its socket.
func (l *lab) floodEngine(name string, args []string) error {
	w, err := l.newWorkspace("flood-"+strings.ReplaceAll(name, " ", "-"), "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(w.dir)
	path := w.path("logs/app.log")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	s, err := l.serve(w)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := s.source(path, func(src logSource) bool { return true }); err != nil {
		return err
	}
	cpu := cpuSeconds(s.cmd.Process.Pid)
	wait, err := l.flood(path, args)
	if err != nil {
		return err
	}
	wrote, err := wait()
	if err != nil {
		return err
	}
	used := cpuSeconds(s.cmd.Process.Pid) - cpu
	last, since := int64(-1), time.Now()
	src, err := s.source(path, func(src logSource) bool { // at rest
		if src.Lines != last {
			last, since = src.Lines, time.Now()
		}
		return src.Lines >= wrote.Lines || time.Since(since) > 2*time.Second
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("flood: engine, %s/s for %.0f s, %s", human(float64(wrote.Lines)/wrote.Seconds), wrote.Seconds, name)
	copies := slices.Contains(args, "-copy")
	l.verdict(what, wrote, wrote.Lines-src.Lines, src.LostBytes, src.Truncations, true, copies)
	l.note(what+": CPU", fmt.Sprintf("%s s for %s lines, memory %s MiB", number(used), human(float64(wrote.Lines)), number(memory(s.cmd.Process.Pid, "VmRSS"))))
	return nil
}

// verdict says what was lost, and whether that was told.
func (l *lab) verdict(what string, w written, missing, lost int64, truncations int, told, copies bool) {
	perLine := float64(w.Bytes) / float64(w.Lines)
	got := fmt.Sprintf("%d of %d lines missing", missing, w.Lines)
	if w.Truncates == 0 {
		l.holds(what, missing == 0, got, "0 missing")
		return
	}
	// With copies it is known what could be read; a line may be torn at each end.
	most, goal := w.Lines, "only what a truncation took"
	if copies {
		most = int64(float64(w.Gone)/perLine) + int64(2*w.Truncates)
		got += fmt.Sprintf(", %.0f gone between a copy and its truncation", float64(w.Gone)/perLine)
		goal = "no more than those"
	}
	if !told {
		l.holds(what, missing <= most, got, goal)
		return
	}
	got += fmt.Sprintf("; %d of %d truncations seen, at least %.0f lines told lost", truncations, w.Truncates, float64(lost)/perLine)
	l.holds(what, truncations == w.Truncates && missing >= 0 && missing <= most, got, goal+", each truncation told")
}

func human(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e3:
		return fmt.Sprintf("%.0fk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}

// floodCommand counts what opsdeck logs -f prints: every line once, none broken.
func (l *lab) floodCommand(name string, args []string) error {
	dir := filepath.Join(l.dir, "flood-command")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "app.log")
	if err := os.WriteFile(path, []byte("beginning\n"), 0o644); err != nil {
		return err
	}
	c := exec.Command(l.bin, "logs", "-f", "--workspace", dir, path)
	c.Env = append(os.Environ(), "HOME="+l.dir)
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	pid := c.Process.Pid
	defer func() { _ = c.Wait() }()
	defer func() { _ = c.Process.Signal(syscall.SIGTERM) }()
	type count struct{ lines, twice, broken, cut int64 }
	progress := make(chan count, 1)
	began := make(chan struct{})
	go func() {
		defer close(progress)
		var n count
		seen := make([]uint64, (floodRate*floodSecs*2)/64+1)
		r := bufio.NewReaderSize(out, 1<<20)
		first := true
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if first {
				first = false
				close(began)
				continue
			}
			i := bytes.LastIndex(line, []byte(" n="))
			id := int64(0)
			if i >= 0 {
				id, _ = strconv.ParseInt(string(bytes.TrimSpace(line[i+3:])), 10, 64)
			}
			switch {
			case bytes.Contains(line, []byte("[cut: the file was truncated")):
				n.cut++
			case id <= 0 || id >= int64(len(seen))*64 || !bytes.HasPrefix(line, []byte("20")):
				n.broken++
			case seen[id/64]&(1<<(id%64)) != 0:
				n.twice++
			default:
				seen[id/64] |= 1 << (id % 64)
				n.lines++
			}
			select {
			case <-progress:
			default:
			}
			progress <- n
		}
	}()
	select {
	case <-began:
	case <-time.After(10 * time.Second):
		return fmt.Errorf("opsdeck logs -f printed nothing")
	}
	cpu := cpuSeconds(pid)
	wait, err := l.flood(path, args)
	if err != nil {
		return err
	}
	wrote, err := wait()
	if err != nil {
		return err
	}
	behind := time.Now()
	var n count
	for quiet := false; !quiet; {
		select {
		case got, ok := <-progress:
			if !ok {
				return fmt.Errorf("opsdeck logs -f ended")
			}
			n = got
		case <-time.After(2 * time.Second):
			quiet = true
		}
	}
	what := fmt.Sprintf("flood: logs -f, %s/s for %.0f s, %s", human(float64(wrote.Lines)/wrote.Seconds), wrote.Seconds, name)
	copies := slices.Contains(args, "-copy")
	l.verdict(what, wrote, wrote.Lines-n.lines, 0, 0, false, copies)
	l.holds(what+": twice or broken", n.twice+n.broken == 0, fmt.Sprintf("%d, %d (%d cut by a truncation, and said so)", n.twice, n.broken, n.cut), "0, 0")
	l.note(what+": CPU", fmt.Sprintf("%s s; it ended %s s after the writer", number(cpuSeconds(pid)-cpu), number(max(0, time.Since(behind).Seconds()-2))))
	return nil
}

// engine is a running opsdeck serve.
type engine struct {
	cmd  *exec.Cmd
	http *http.Client
	ctx  context.Context
}

// serve starts the engine on a workspace and waits for its socket.
func (l *lab) serve(w *workspace) (*engine, error) {
	c := exec.Command(l.bin, "serve", "--workspace", w.dir, "--listen", "off")
	c.Env = append(os.Environ(), "HOME="+l.dir, "DOCKER_HOST=")
	c.Stderr = io.Discard
	if err := c.Start(); err != nil {
		return nil, err
	}
	socket := w.path("data/opsdeck.sock")
	e := &engine{cmd: c, ctx: l.ctx, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}}
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := e.http.Get("http://x/admin/health")
		if err == nil {
			resp.Body.Close()
			return e, nil
		}
		if time.Now().After(end) {
			e.close()
			return nil, fmt.Errorf("opsdeck serve does not answer: %w", err)
		}
	}
}

func (e *engine) close() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	_ = e.cmd.Wait()
}

// section reads a section of the state.
func (e *engine) section(name string, to any) error {
	resp, err := e.http.Get("http://x/admin/state/" + name)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(to)
}

// source waits until the log source is as wanted, at most a minute.
func (e *engine) source(path string, ok func(logSource) bool) (logSource, error) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var got struct{ Sources []logSource }
		err := e.section("logs", &got)
		for _, src := range got.Sources {
			if src.Path == path && ok(src) {
				return src, nil
			}
		}
		if e.ctx.Err() != nil || time.Now().After(end) {
			return logSource{}, fmt.Errorf("the engine does not say what was expected of %s: %v", path, err)
		}
	}
}
