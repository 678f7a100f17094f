package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// connectIn connects to a workspace.
func connectIn(t *testing.T, dir, user string) *session.Session {
	t.Helper()
	ws, err := config.Load(config.Flags{Workspace: dir, Listen: "off"})
	if err != nil {
		t.Fatal(err)
	}
	s := dial(context.Background(), ws, state.Actor{User: user, From: "test", Via: "console"})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { // as a console does: it always waits for the next
		var after uint64
		for {
			snap, err := s.Wait(ctx, after)
			if err != nil {
				return
			}
			after = snap.Version
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait(); s.Stop() })
	return s
}

// seen waits in a session for a snapshot that ok holds of.
func seen(t *testing.T, s *session.Session, after uint64, what string, ok func(*state.Snapshot) bool) *state.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
	defer cancel()
	for {
		snap, err := s.Wait(ctx, after)
		if err != nil {
			t.Fatalf("it never came about that %s: %v", what, err)
		}
		if snap.Version <= after {
			t.Fatalf("version %d comes after %d", snap.Version, after)
		}
		for name, v := range snap.Versions {
			if v > snap.Version {
				t.Fatalf("section %s is of version %d in snapshot %d", name, v, snap.Version)
			}
		}
		if after = snap.Version; ok(snap) {
			return snap
		}
	}
}

func healthyModule(s *state.Snapshot) bool {
	m := s.Modules.Module("host/load")
	return m != nil && m.HealthWord == "healthy"
}

// TestWhoLeavesHandsOver: the console that runs the engine is closed, and the one
// that looked on takes the workspace over, without an end to its session.
func TestWhoLeavesHandsOver(t *testing.T) {
	sourcetest.Program(t, "sh")
	dir := t.TempDir()
	makeWorkspace(t, dir, "", map[string]bool{"host/load": false})
	first := connectIn(t, dir, "ada")
	seen(t, first, 0, "the first has an engine", healthyModule)
	second, third := connectIn(t, dir, "bob"), connectIn(t, dir, "eve")
	last := map[*session.Session]*state.Snapshot{}
	for _, s := range []*session.Session{second, third} {
		last[s] = seen(t, s, 0, "all three are there", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 3 && healthyModule(s) })
	}
	if c := last[second].Workspace.Consoles; c[0].Actor.User != "ada" || !c[0].Control || c[1].Control || c[2].Control {
		t.Errorf("in control: %+v", c)
	}
	do := func(s *session.Session, kind state.Kind) {
		t.Helper()
		if _, err := backend.Do(t.Context(), s, state.Action{Kind: state.ControlTake}, false, nil); err != nil && !strings.Contains(err.Error(), "has it already") {
			t.Fatal(err)
		}
		p, err := backend.Do(t.Context(), s, state.Action{Kind: kind, Target: "host/load"}, false, nil)
		if err != nil || p.Status != "done" {
			t.Fatalf("%s: %+v, %v", kind, p, err)
		}
	}
	do(second, state.ModuleDisable)

	first.Stop()
	for _, s := range []*session.Session{second, third} {
		snap := seen(t, s, last[s].Version, "the engine is another's, and knows what was decided", func(s *state.Snapshot) bool {
			m := s.Modules.Module("host/load")
			return len(s.Workspace.Consoles) == 2 && m != nil && m.Status == state.ModuleDisabled && s.Workspace.Started.After(last[second].Workspace.Started)
		})
		control := 0
		for _, c := range snap.Workspace.Consoles {
			if c.Control {
				control++
			}
		}
		if control != 1 {
			t.Errorf("%d are in control: %+v", control, snap.Workspace.Consoles)
		}
	}
	do(third, state.ModuleEnable)
	seen(t, second, last[second].Version, "it works", healthyModule)
	third.Stop()
	second.Stop()

	var users []string
	if err := journal.Read(filepath.Join(dir, "data", "journal.jsonl"), func(e state.Entry) bool {
		if strings.HasPrefix(string(e.Kind), "control.") {
			return true
		}
		users = append(users, fmt.Sprintf("%s %s by %s", e.Phase, e.Kind, e.Actor.User))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"begin module.disable by bob", "end module.disable by bob", "begin module.enable by eve", "end module.enable by eve"}
	if fmt.Sprint(users) != fmt.Sprint(want) {
		t.Errorf("the journal has %q, want %q", users, want)
	}
	noneLeft(t, dir)
}

// TestAConsoleOutlivesItsService: serve is killed under it and started again, as
// systemd does.
func TestAConsoleOutlivesItsService(t *testing.T) {
	sourcetest.Program(t, "sh")
	dir := t.TempDir()
	makeWorkspace(t, dir, "", map[string]bool{"host/load": false})
	srv := serveIn(t, dir)
	s := connectIn(t, dir, "ada")
	was := seen(t, s, 0, "it is attached", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 2 && healthyModule(s) })
	srv.kill()
	srv = serveIn(t, dir)
	now := seen(t, s, was.Version, "it is attached to the new one", func(s *state.Snapshot) bool {
		return s.Workspace.PID != was.Workspace.PID && len(s.Workspace.Consoles) == 2 && healthyModule(s)
	})
	if now.Workspace.PID != srv.cmd.Process.Pid {
		t.Errorf("the engine is process %d, want %d; present: %+v", now.Workspace.PID, srv.cmd.Process.Pid, now.Workspace.Consoles)
	}
	srv.client.Close() // whoever is left is in control
	seen(t, s, now.Version, "it is alone", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 1 && s.Workspace.Consoles[0].Control })
	if _, err := s.Submit(t.Context(), state.Action{Kind: state.ModuleDisable, Target: "host/load"}); err != nil {
		t.Error(err)
	}
	s.Stop()
	if _, err := s.Wait(t.Context(), 0); err == nil {
		t.Error("a session that was stopped still answers")
	}
	srv.stop(t)
	noneLeft(t, dir)
}

func TestAnOwnerWithoutANameIsNotToBeKilledAsNumber0(t *testing.T) {
	err := session.Silent("/data", remote.Owner{}, remote.ErrSilent)
	if got := err.Error(); strings.Contains(got, "kill") || !strings.Contains(got, "fuser /data/opsdeck.lock") {
		t.Errorf("advice = %q", got)
	}
	if got := session.Silent("/data", remote.Owner{PID: 42, User: "ada"}, remote.ErrSilent).Error(); !strings.Contains(got, "kill 42") {
		t.Errorf("advice = %q", got)
	}
}
