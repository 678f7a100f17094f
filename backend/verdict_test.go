package backend

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/state"
)

// ship is a source of one container that is done to as a test says.
type ship struct {
	mu    sync.Mutex
	put   func(state.Section)
	c     state.Container
	asked [][2]time.Time // the windows that figures were asked for
	errs  []float64      // the error lines that are answered, one a time
	exec  func()
}

func (s *ship) Name() string                  { return "ship" }
func (s *ship) Sections() []state.SectionName { return []state.SectionName{state.SectionContainers} }
func (s *ship) Kinds() []state.Kind {
	return []state.Kind{state.ContainerRestart, state.ContainerUpdate, state.ContainerKill, state.ComposeRecreate}
}
func (s *ship) Run(ctx context.Context, put func(state.Section)) error {
	s.mu.Lock()
	s.put = put
	s.mu.Unlock()
	s.set(func(*state.Container) {})
	<-ctx.Done()
	return ctx.Err()
}

func (s *ship) set(f func(*state.Container)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.c)
	s.put(state.Containers{CPUs: 4, List: []state.Container{s.c}, Compose: state.Compose{Version: "x"}, Projects: map[string]state.Project{"p": {}}})
}

func (s *ship) Execute(context.Context, state.Action, func(string, float64)) (state.Outcome, error) {
	if s.exec != nil {
		s.exec()
	}
	s.set(func(*state.Container) {})
	return state.Outcome{Result: "done"}, nil
}

func (s *ship) Figures(_ context.Context, _ state.Action, since, until time.Time) []state.Figure {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, [2]time.Time{since, until})
	f := state.Figure{Title: "error lines", Value: -1, Unit: "a minute", Weight: 5}
	if len(s.errs) > 0 {
		f.Value, s.errs = s.errs[0], s.errs[1:]
	}
	return []state.Figure{f}
}

func withShip(t *testing.T, s *ship, f func(t *testing.T, h *Hub)) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	s.c = state.Container{ID: "1234567890", Title: "web", State: "running", HealthWord: "healthy", Project: "p", Service: "web", Limits: state.Limits{Known: true, Restart: "no"}}
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		h := New(Options{Journal: j, Settle: 10 * time.Second}, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.Run(ctx) }()
		defer func() { cancel(); <-done; j.Close() }()
		time.Sleep(time.Second)
		f(t, h)
	})
}

func TestAVerdictWaitsForTheHealthCheckAndAsksForTheErrorsOfBothWindows(t *testing.T) {
	s := &ship{errs: []float64{40, 0}}
	s.exec = func() { s.set(func(c *state.Container) { c.HealthWord = "starting" }) }
	withShip(t, s, func(t *testing.T, h *Hub) {
		began := time.Now()
		go func() {
			time.Sleep(25 * time.Second)
			s.set(func(c *state.Container) { c.HealthWord = "healthy" })
		}()
		p, err := Do(t.Context(), h, state.Action{Kind: state.ContainerRestart, Target: "web"}, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		if p.Verdict == nil || p.Verdict.Word != "better" || p.Verdict.Note != "" || took < 25*time.Second || took > 30*time.Second {
			t.Errorf("after %s: %+v", took, p.Verdict)
		}
		if !strings.HasPrefix(p.Verdict.Summary(), "better: error lines 40.0 a minute -> 0.0 a minute, health healthy") {
			t.Errorf("it says %q", p.Verdict.Summary())
		}
		if len(s.asked) != 2 || s.asked[0][1].Sub(s.asked[0][0]) != 10*time.Second || !s.asked[0][1].Equal(began) || s.asked[1][0].Before(began) {
			t.Errorf("figures of %v were asked for", s.asked)
		}
	})
}

func TestAHealthCheckThatNeverAnswersIsSaidToBeOut(t *testing.T) {
	s := &ship{}
	s.exec = func() { s.set(func(c *state.Container) { c.HealthWord = "starting" }) }
	withShip(t, s, func(t *testing.T, h *Hub) {
		began := time.Now()
		p, err := Do(t.Context(), h, state.Action{Kind: state.ContainerRestart, Target: "web"}, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 60*time.Second || took > 62*time.Second {
			t.Errorf("it took %s, want six times the settling time", took)
		}
		if p.Verdict.Note != "web is starting still" || p.Verdict.Word == "worse" || p.Verdict.Word == "better" {
			t.Errorf("got %q", p.Verdict.Summary())
		}
	})
}

func TestAnActionInBetweenLeavesTheVerdictOpen(t *testing.T) {
	s := &ship{errs: []float64{40, 0, 0, 0}}
	withShip(t, s, func(t *testing.T, h *Hub) {
		id, err := h.Submit(t.Context(), state.Action{Kind: state.ContainerRestart, Target: "web", Actor: state.Actor{User: "ann"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, err := h.Submit(t.Context(), state.Action{Kind: state.ContainerKill, Target: "web", Args: map[string]string{"signal": "HUP"}, Actor: state.Actor{User: "bob"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if v := h.Latest().Actions.Progress(id).Verdict; v == nil || v.Word != "unknown" || v.Note != "container.kill by bob came in between" {
			t.Errorf("got %+v", v)
		}
	})
}

func TestArgumentsAreCheckedBeforeAnythingIsDoneOrJournalled(t *testing.T) {
	s := &ship{exec: func() { t.Error("it was done") }}
	withShip(t, s, func(t *testing.T, h *Hub) {
		_, err := h.Submit(t.Context(), state.Action{Kind: state.ContainerUpdate, Target: "web", Args: map[string]string{"memory": "lots"}})
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `"lots" is not a size`) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		if n := len(h.Latest().Journal.Entries); n != 0 {
			t.Errorf("%d entries were journalled", n)
		}
	})
}

func TestAContainerStandsForItsServiceUnderOneName(t *testing.T) {
	withShip(t, &ship{}, func(t *testing.T, h *Hub) {
		for _, target := range []string{"web", "1234567890", "p/web"} {
			p, err := Do(t.Context(), h, state.Action{Kind: state.ComposeRecreate, Target: target}, false, nil)
			if err != nil || p.Action.Target != "p/web" {
				t.Errorf("%s became %q, %v", target, p.Action.Target, err)
			}
		}
	})
}
