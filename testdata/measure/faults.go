package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fault is something that breaks and is mended.
type fault struct {
	name string
	// broke and mended do it; shows is on the screen while it is broken, well once
	// it has recovered. keys lead from the overview to where it is shown.
	keys          []string
	broke, mended func() error
	shows, well   string
	// stays says that what shows it is still there after recovery.
	stays bool
}

// Patience with a fault's showing and with recovery, which includes backoff.
const (
	faultShows    = 20 * time.Second
	faultRecovers = 45 * time.Second
)

// measureFaults breaks one thing after the other under a running console.
func measureFaults(l *lab) error {
	if err := l.withRedis(); err != nil {
		return err
	}
	l.client.Del(l.ctx, "task:queue")
	l.client.RPush(l.ctx, "task:queue", "x", "y")
	docker := l.withContainers(3)
	relay := &relay{path: filepath.Join(l.dir, "docker.sock"), target: "/var/run/docker.sock"}
	if err := relay.up(); err != nil {
		return err
	}
	defer relay.down()
	w, err := l.newWorkspace("faults", "docker: {host: unix://"+relay.path+"}\n")
	if err != nil {
		return err
	}
	s, err := l.show(l.bin, "--workspace", w.dir, "--listen", "off")
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(); err != nil {
		return err
	}
	if _, err := s.until(s.began, 15*time.Second, panes[0].value); err != nil {
		return err
	}
	log := w.path("logs/app.log")
	adapterFile, good := "modules/host/victim/adapter.py", adapter("host", "victim", "[1]")
	reload := func() error { // refused or failed is what is being looked for
		_, _ = command(l.bin, "modules", "reload", "host/victim", "--workspace", w.dir)
		return nil
	}
	faults := []fault{
		{name: "docker is cut off", broke: func() error { relay.down(); return nil }, mended: relay.up,
			shows: `3 Containers.*(stale|down)`, well: `3 Containers +\d+ of \d+ running`},
		{name: "redis is frozen (SIGSTOP)", broke: func() error { return l.redis.Process.Signal(syscall.SIGSTOP) },
			mended: func() error { return l.redis.Process.Signal(syscall.SIGCONT) },
			shows:  `4 Queues.*(stale|down)`, well: `4 Queues +\d+ item`},
		{name: "redis is killed (SIGKILL)", broke: func() error { l.stopRedis(); return nil },
			mended: func() error {
				if err := l.withRedis(); err != nil {
					return err
				}
				return l.client.RPush(l.ctx, "task:queue", "x", "y").Err()
			},
			shows: `4 Queues.*(stale|down)`, well: `4 Queues +\d+ item`},
		{name: "a log file is removed", broke: func() error { return os.Remove(log) },
			mended: func() error { return w.log("after-removal") }, shows: `unreadable`, well: `after-removal`},
		{name: "a log file becomes a directory", broke: func() error { return either(os.Remove(log), os.Mkdir(log, 0o755)) },
			mended: func() error { return either(os.Remove(log), w.log("after-directory")) }, shows: `unreadable`, well: `after-directory`},
		{name: "a log file is truncated", broke: func() error { return either(os.Truncate(log, 0), w.log("after-truncation")) },
			mended: func() error { return w.log("and-on") }, shows: `after-truncation`, well: `and-on`, stays: true},
		{name: "a rule file has a syntax error", broke: func() error { return w.write("config/prometheus/rules/rules.yml", "groups:\n  - name: [\n") },
			mended: func() error { return w.write("config/prometheus/rules/rules.yml", rules) },
			shows:  `rules\.yml`, well: `(?s)6 Alerts.*\d rules`},
		{name: "an adapter raises", broke: func() error { return os.Remove(w.path("modules/host/victim/data")) },
			mended: func() error { return w.write("modules/host/victim/data", "x") },
			shows:  `failed +host/victim`, well: `enabled +host/victim +healthy`},
		{name: "an adapter is killed (SIGKILL)", broke: func() error { return killAdapter(w) }, mended: func() error { return nil },
			keys: []string{"1", "G", "Enter"}, shows: `started again`, well: `enabled +host/victim +healthy`},
		{name: "an adapter hangs", broke: func() error {
			if err := w.write(adapterFile, adapter("host", "victim", "time.sleep(3600)")); err != nil {
				return err
			}
			return reload()
		}, mended: func() error { return w.write(adapterFile, good) }, shows: `failed +host/victim`, well: `enabled +host/victim +healthy`},
		{name: "an adapter has a syntax error", broke: func() error {
			if err := w.write(adapterFile, "def broken(:\n"); err != nil {
				return err
			}
			return reload()
		}, mended: func() error { return w.write(adapterFile, good) }, shows: `failed +host/victim`, well: `enabled +host/victim +healthy`},
	}
	if os.Getuid() != 0 { // to root everything is permitted
		faults = append(faults, fault{name: "a log file may not be read", broke: func() error { return either(os.Rename(log, log+".1"), w.log("x"), os.Chmod(log, 0)) },
			mended: func() error { return either(os.Chmod(log, 0o644), w.log("after-permission")) }, shows: `permission denied`, well: `after-permission`})
	} else {
		l.note("faults: a log file may not be read", "not measured: root may read everything")
	}
	for _, f := range faults {
		if docker != nil && strings.HasPrefix(f.name, "docker") {
			l.failed("faults: "+f.name, docker)
			continue
		}
		if l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		if err := l.breakIt(s, f); err != nil {
			return err
		}
	}
	return nil
}

// breakIt breaks and mends one thing. The error is one that ends all of it.
func (l *lab) breakIt(s *screen, f fault) error {
	what := "faults: " + f.name
	at := time.Now()
	if err := f.broke(); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	for _, k := range f.keys {
		s.keys(k)
	}
	shown, err := s.until(at, faultShows, f.shows)
	if !s.alive() {
		return err
	}
	got := fmt.Sprintf("shows after %s s", number(shown.Seconds()))
	if err != nil {
		got = "does not show"
		_ = os.WriteFile(filepath.Join(l.dir, strings.ReplaceAll(f.name, " ", "-")+".txt"), []byte(s.text()), 0o600)
	}
	if len(f.keys) > 0 {
		s.keys("Escape")
	}
	at = time.Now()
	if err := f.mended(); err != nil {
		return fmt.Errorf("mend %s: %w", f.name, err)
	}
	well, werr := s.until(at, faultRecovers, f.well)
	if werr == nil && !f.stays {
		well, werr = s.untilNot(at, faultRecovers, f.shows)
	}
	if !s.alive() {
		return werr
	}
	if werr != nil {
		got += ", does not recover"
		_ = os.WriteFile(filepath.Join(l.dir, strings.ReplaceAll(f.name, " ", "-")+"-after.txt"), []byte(s.text()), 0o600)
	} else {
		got += fmt.Sprintf(", recovers within %s s", number(well.Seconds()))
	}
	l.holds(what, err == nil && werr == nil, got, "up, shown, recovered")
	return nil
}

// either returns the first error of several things that were done in order.
func either(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// killAdapter kills the process of the victim's adapter.
func killAdapter(w *workspace) error {
	b, err := os.ReadFile(w.path("modules/host/victim/pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGKILL)
}

// relay stands between the console and the container engine, so that the engine
// itself need not be touched.
type relay struct {
	path, target string

	mu    sync.Mutex
	ln    net.Listener
	conns map[net.Conn]bool
}

func (r *relay) up() error {
	ln, err := net.Listen("unix", r.path)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.ln, r.conns = ln, map[net.Conn]bool{}
	r.mu.Unlock()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.pass(c)
		}
	}()
	return nil
}

func (r *relay) pass(c net.Conn) {
	to, err := net.Dial("unix", r.target)
	if err != nil {
		c.Close()
		return
	}
	r.mu.Lock()
	r.conns[c], r.conns[to] = true, true
	r.mu.Unlock()
	go func() { _, _ = io.Copy(to, c); to.Close(); c.Close() }()
	_, _ = io.Copy(c, to)
	to.Close()
	c.Close()
}

// down cuts every connection and takes the socket away.
func (r *relay) down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ln != nil {
		r.ln.Close()
	}
	for c := range r.conns {
		c.Close()
	}
}
