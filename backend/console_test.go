package backend

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/state"
)

// control returns who holds it, of the consoles that are here.
func control(h *Hub) (title string, consoles int) {
	w := h.Latest().Workspace
	if c := w.Holder(); c != nil {
		title = c.Actor.User
	}
	return title, len(w.Consoles)
}

func person(user string) state.Actor {
	return state.Actor{User: user, From: "pts/" + user, Via: "console"}
}

func TestOneConsoleHoldsControlAndTheOthersOnlyView(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	src.exec = func(context.Context, state.Action, func(string, float64)) (state.Outcome, error) {
		return state.Outcome{Result: "did it"}, nil
	}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		wall := h.Attach(state.Actor{User: "wall", Via: "wall"})
		ada, bob := h.Attach(person("ada")), h.Attach(person("bob"))
		reload := state.Action{Kind: state.ModuleReload, Target: "a/b"}
		do := func(c *Console, a state.Action) (string, error) {
			p, err := Do(t.Context(), c, a, false, nil)
			return p.Status + " " + p.Result + p.Err, err
		}
		refused := func(c *Console, a state.Action, want string) {
			t.Helper()
			if got, err := do(c, a); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s by %s: %s, %v; want a refusal with %q", a.Kind, a.Target, c.info.Title(), got, err, want)
			}
		}
		done := func(c *Console, a state.Action) {
			t.Helper()
			if got, err := do(c, a); err != nil || !strings.HasPrefix(got, "done") {
				t.Errorf("%s %s by %s: %s, %v", a.Kind, a.Target, c.info.Title(), got, err)
			}
		}
		holds := func(want string, consoles int) {
			t.Helper()
			time.Sleep(time.Second)
			if got, n := control(h); got != want || n != consoles {
				t.Errorf("%q of %d consoles holds control, want %q of %d", got, n, want, consoles)
			}
		}
		holds("ada", 3) // a wall never does
		done(ada, reload)
		refused(bob, reload, "ada (pts/ada) holds control: ask for control, or take it")
		refused(wall, reload, "this console only looks")
		refused(wall, state.Action{Kind: state.ControlTake}, "only looks")
		refused(ada, state.Action{Kind: state.ControlTake}, "has it already")
		refused(bob, state.Action{Kind: state.ControlGive, Target: bob.ID()}, "ada (pts/ada) holds control")
		if _, err := h.Submit(t.Context(), reload); err != nil {
			t.Errorf("the API is kept from acting: %v", err)
		}
		cli := h.Attach(state.Actor{User: "eve", Via: "cli"})
		done(cli, reload)
		refused(cli, state.Action{Kind: state.ControlTake}, "only a console holds control")
		cli.Close()

		done(bob, state.Action{Kind: state.ControlRequest})
		refused(bob, state.Action{Kind: state.ControlRequest}, "it was asked for at")
		time.Sleep(time.Second)
		s, err := ada.Wait(t.Context(), 0)
		if err != nil || s.Workspace.Console(bob.ID()).Asked.IsZero() || s.You != ada.ID() {
			t.Errorf("ada, %q, is not told that bob asks: %+v, %v", s.You, s.Workspace.Consoles, err)
		}
		done(ada, state.Action{Kind: state.ControlGive, Target: "bob"})
		holds("bob", 3)
		refused(ada, reload, "bob (pts/bob) holds control")
		done(bob, reload)
		done(ada, state.Action{Kind: state.ControlTake})
		holds("ada", 3)

		ada.Close()
		holds("bob", 2) // at once, and asked of nobody
		done(bob, reload)
		bob.Close()
		holds("", 1)
		late := h.Attach(person("late"))
		holds("late", 2)
		late.Close()
		wall.Close()

		var passed []string
		for _, e := range h.Latest().Journal.Entries {
			if strings.HasPrefix(string(e.Kind), "control.") && e.Phase == state.PhaseEnd {
				passed = append(passed, e.Actor.User+": "+e.Detail)
			}
		}
		want := []string{
			"opsdeck: ada (pts/ada) left: control went to bob (pts/bob)",
			"ada: ada (pts/ada) took control from bob (pts/bob)",
			"ada: control went from ada (pts/ada) to bob (pts/bob)",
			"bob: ada (pts/ada) was asked for control",
		}
		if strings.Join(passed, "\n") != strings.Join(want, "\n") {
			t.Errorf("the journal has\n%s\nwant\n%s", strings.Join(passed, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestControlPassesToTheFirstRequestElseToTheLastActiveConsole(t *testing.T) {
	for _, tt := range []struct {
		name string
		asks bool
		want string
	}{{"one asked", true, "bob"}, {"a key was pressed", false, "eve"}} {
		t.Run(tt.name, func(t *testing.T) {
			withHub(t, &script{runs: ready(state.ModuleInstalled)}, func(t *testing.T, h *Hub) {
				ada, bob, eve, far := h.Attach(person("ada")), h.Attach(person("bob")), h.Attach(person("eve")), h.Attach(person("far"))
				time.Sleep(time.Second)
				eve.Watch(state.Interests{{Topic: state.LookKeys, Key: "1"}})
				time.Sleep(time.Second)
				if idle := h.Latest().Workspace.Console(far.ID()); !h.Latest().Workspace.Console(eve.ID()).Active.After(idle.Active) {
					t.Errorf("who pressed a key counts as idle as who did not: %+v", h.Latest().Workspace.Consoles)
				}
				if tt.asks {
					if _, err := Do(t.Context(), bob, state.Action{Kind: state.ControlRequest}, false, nil); err != nil {
						t.Fatal(err)
					}
				}
				ada.Close()
				time.Sleep(time.Second)
				if got, _ := control(h); got != tt.want {
					t.Errorf("%s has control, want %s", got, tt.want)
				}
				for _, c := range []*Console{bob, eve, far} {
					c.Close()
				}
			})
		})
	}
}

// TestAStopIsNotAHandover: an engine that stops cuts everybody off, which is not
// one console's leaving.
func TestAStopIsNotAHandover(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		h := New(Options{Journal: j}, &script{runs: ready(state.ModuleInstalled)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.Run(ctx) }()
		a, b := h.Attach(person("ada")), h.Attach(person("bob"))
		time.Sleep(time.Second)
		cancel()
		<-done
		a.Close()
		b.Close()
		j.Close()
	})
	n := 0
	if err := journal.Read(path, func(state.Entry) bool { n++; return true }); err != nil || n != 0 {
		t.Errorf("%d entries, %v; want none", n, err)
	}
}

func TestBeatReturnsWhileTheHubRuns(t *testing.T) {
	withHub(t, &script{runs: ready(state.ModuleInstalled)}, func(t *testing.T, h *Hub) {
		was := h.Latest().Version
		if err := h.Beat(t.Context()); err != nil || h.Latest().Version <= was {
			t.Errorf("version %d after %d, %v", h.Latest().Version, was, err)
		}
	})
}
