package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// TestAWorkspaceStandsOnAnOrchestratorElsewhere points engine.url at another
// workspace's API, acts there through it, and moves it to a third one by a reload.
func TestAWorkspaceStandsOnAnOrchestratorElsewhere(t *testing.T) {
	far := func(module string) *session.Daemon {
		dir := t.TempDir()
		makeWorkspace(t, dir, "", map[string]bool{module: false})
		ws, err := config.Load(config.Flags{Workspace: dir, Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		d, _, err := startDaemon(ws, true)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Stop)
		return d
	}
	first, second := far("host/load"), far("host/disk")
	dir := t.TempDir()
	makeWorkspace(t, dir, "engine: {url: \"http://"+apiOf(first)+"\", token: \"${FAR_TOKEN}\"}\n", nil)
	srv := serveIn(t, dir)
	s := srv.until(t, "the module there is shown", func(s *state.Snapshot) bool {
		m := s.Modules.Module("host/load")
		return m != nil && m.Status == state.ModuleInstalled
	})
	if why := state.Why(s, state.ModuleRestart, "host/load"); !strings.Contains(why, "runs its modules in itself") {
		t.Errorf("restart is refused with %q", why)
	}
	srv.until(t, "its pipeline stream is followed", func(s *state.Snapshot) bool { return len(s.Pipeline.Stages) == 4 && s.Pipeline.Stream == "" })
	if p, err := backend.Do(t.Context(), srv.client, state.Action{Kind: state.ModuleDisable, Target: "host/load"}, false, nil); err != nil || p.Status != "done" {
		t.Fatalf("disable: %+v, %v", p, err)
	}
	sourcetest.Snapshot(t, first.Hub(), "it is disabled there", func(s *state.Snapshot) bool {
		m := s.Modules.Module("host/load")
		return m != nil && m.Status == state.ModuleDisabled
	})

	out, err := exec.Command("opsdeck", "doctor", "--workspace", dir).CombinedOutput()
	if !strings.Contains(string(out), "engine.url        http://"+apiOf(first)+" answers: it is healthy, with 1 module") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if out, err := exec.Command("opsdeck", "config", "show", "--workspace", dir).CombinedOutput(); err != nil || !strings.Contains(string(out), "engine.url") || !strings.Contains(string(out), "engine.token") {
		t.Errorf("config show: %v\n%s", err, out)
	}

	file := filepath.Join(dir, "opsdeck.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), apiOf(first), apiOf(second), 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := backend.Do(t.Context(), srv.client, state.Action{Kind: state.ConfigReload}, false, nil); err != nil || !strings.Contains(p.Result, "in force: engine") {
		t.Fatalf("reload: %+v, %v", p, err)
	}
	srv.until(t, "the other one's module is shown", func(s *state.Snapshot) bool { return s.Modules.Module("host/disk") != nil })
	second.Stop()
	s = srv.until(t, "it is told to be gone", func(s *state.Snapshot) bool { return s.Modules.Health.Status == state.Stale })
	if !strings.Contains(s.Modules.Health.Err, "is it running?") || s.Modules.Module("host/disk") == nil {
		t.Errorf("modules are %+v", s.Modules.Health)
	}
	srv.stop(t)
	noneLeft(t, dir)
}

// apiOf returns where a daemon's API is.
func apiOf(d *session.Daemon) string {
	addr, _, _ := d.API()
	return addr
}
