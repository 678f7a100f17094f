package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/backend/supervisor"
)

// script is a source whose runs are played one after the other, and an executor.
type script struct {
	mu   sync.Mutex
	runs []func(ctx context.Context, put func(state.Section)) error
	exec func(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error)
	seen state.Interests
}

func (s *script) Name() string                  { return "script" }
func (s *script) Sections() []state.SectionName { return []state.SectionName{state.SectionModules} }
func (s *script) Kinds() []state.Kind {
	return []state.Kind{state.ModuleDisable, state.ModuleEnable, state.ModuleReload, state.ModuleUninstall}
}
func (s *script) Interest(in state.Interests) { s.mu.Lock(); s.seen = in; s.mu.Unlock() }
func (s *script) Run(ctx context.Context, put func(state.Section)) error {
	s.mu.Lock()
	if len(s.runs) == 0 {
		s.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	run := s.runs[0]
	s.runs = s.runs[1:]
	s.mu.Unlock()
	return run(ctx, put)
}
func (s *script) Execute(ctx context.Context, a state.Action, p func(string, float64)) (state.Outcome, error) {
	return s.exec(ctx, a, p)
}

func modules(status state.ModuleStatus, health string) state.Modules {
	return state.Modules{List: []state.Module{{ID: "a/b", Status: status, HealthWord: health}}}
}

// withHub runs f inside a bubble with a hub over src.
func withHub(t *testing.T, src *script, f func(t *testing.T, h *Hub)) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		h := New(Options{Journal: j, Settle: 10 * time.Second, Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") }}, src)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.Run(ctx) }()
		defer func() { cancel(); <-done; j.Close() }()
		synctest.Wait()
		f(t, h)
	})
	if _, err := journal.Verify(path); err != nil {
		t.Error(err)
	}
}

// late knows of a module's end before it has put it.
type late struct {
	*script
	show chan struct{}
}

func (l *late) Flush(context.Context) { l.show <- struct{}{}; synctest.Wait() }

// An action that is refused by what was published is checked again.
func TestARefusalRestsOnTheNewestState(t *testing.T) {
	src := &late{script: &script{}}
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	synctest.Test(t, func(t *testing.T) {
		src.show = make(chan struct{})
		src.runs = []func(context.Context, func(state.Section)) error{func(ctx context.Context, put func(state.Section)) error {
			put(modules(state.ModuleInstalled, "healthy"))
			<-src.show
			put(modules(state.ModuleDisabled, "unknown"))
			<-ctx.Done()
			return ctx.Err()
		}}
		src.exec = func(context.Context, state.Action, func(string, float64)) (state.Outcome, error) {
			return state.Outcome{Result: "done"}, nil
		}
		j, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		h := New(Options{Journal: j}, src)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.Run(ctx) }()
		defer func() { cancel(); <-done; j.Close() }()
		time.Sleep(publishEvery)
		if _, err := h.Submit(ctx, state.Action{Kind: state.ModuleEnable, Target: "a/b"}); err != nil {
			t.Errorf("refused by what was so before: %v", err)
		}
	})
}

func TestHealthFollowsTheSource(t *testing.T) {
	var fail chan error // made inside the bubble
	src := &script{runs: []func(context.Context, func(state.Section)) error{
		func(context.Context, func(state.Section)) error { fail = make(chan error); return <-fail },
		func(_ context.Context, put func(state.Section)) error {
			put(modules(state.ModuleInstalled, "healthy"))
			return <-fail
		},
		func(context.Context, func(state.Section)) error { panic("oh") },
		func(ctx context.Context, put func(state.Section)) error {
			put(modules(state.ModuleInstalled, "healthy"))
			<-ctx.Done()
			return ctx.Err()
		},
	}}
	withHub(t, src, func(t *testing.T, h *Hub) {
		expect := func(status state.Status, errPart string) {
			t.Helper()
			synctest.Wait()
			got := h.Latest().Modules.Health
			if got.Status != status || !strings.Contains(got.Err, errPart) {
				t.Fatalf("health = %+v, want %s with %q", got, status, errPart)
			}
		}
		expect(state.Connecting, "")
		fail <- errors.New("dial with hunter22: refused\x1b[2J")
		time.Sleep(publishEvery)
		expect(state.Down, "dial with ***: refused^[[2J")
		time.Sleep(supervisor.Max)
		expect(state.OK, "")
		fail <- errors.New("gone")
		time.Sleep(publishEvery)
		expect(state.Stale, "gone")
		if len(h.Latest().Modules.List) != 1 {
			t.Error("a failure cleared good data")
		}
		time.Sleep(3 * supervisor.Max)
		expect(state.OK, "")
	})
}

func TestASourceThatFindsNothingIsAbsentUntilItWasThereOnce(t *testing.T) {
	src := &script{runs: []func(context.Context, func(state.Section)) error{
		func(context.Context, func(state.Section)) error { return state.Absence(errors.New("no socket")) },
		func(_ context.Context, put func(state.Section)) error {
			put(modules(state.ModuleInstalled, "healthy"))
			return state.Absence(errors.New("no socket"))
		},
	}}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		if got := h.Latest().Modules.Health.Status; got != state.Absent {
			t.Errorf("status = %s, want absent", got)
		}
		time.Sleep(supervisor.Absent)
		if got := h.Latest().Modules.Health.Status; got != state.Stale {
			t.Errorf("status = %s, want stale", got)
		}
	})
}

func TestAnOutageIsLoggedWhenItBeginsAndWhenItEnds(t *testing.T) {
	down := func(context.Context, func(state.Section)) error { return errors.New("refused with hunter22") }
	brief := func(_ context.Context, put func(state.Section)) error {
		put(modules(state.ModuleInstalled, "healthy"))
		return errors.New("refused with hunter22")
	}
	src := &script{runs: append([]func(context.Context, func(state.Section)) error{down, down, down, brief, down}, ready(state.ModuleInstalled)...)}
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		plain := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		h := New(Options{Log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: plain})), Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") }}, src)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); h.Run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		<-done
		failed, back := `level=WARN msg="source failed" source=script attempt=1 err="refused with ***"`, `level=INFO msg="source answers again" source=script attempts=`
		if got, want := b.String(), failed+"\n"+back+"3\n"+failed+"\n"+back+"2\n"; got != want {
			t.Errorf("logged\n%swant\n%s", got, want)
		}
	})
}

func TestSnapshotsAreCoalescedToTenASecond(t *testing.T) {
	src := &script{runs: []func(context.Context, func(state.Section)) error{
		func(ctx context.Context, put func(state.Section)) error {
			for ctx.Err() == nil {
				put(modules(state.ModuleInstalled, "healthy"))
				time.Sleep(time.Millisecond)
			}
			return ctx.Err()
		},
	}}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(starting)
		from := h.Latest().Version
		time.Sleep(10 * time.Second)
		if got := h.Latest().Version - from; got < 90 || got > 101 {
			t.Errorf("%d snapshots in 10 s, want about 100", got)
		}
	})
}

// ready puts a module and stays.
func ready(status state.ModuleStatus) []func(context.Context, func(state.Section)) error {
	return []func(context.Context, func(state.Section)) error{func(ctx context.Context, put func(state.Section)) error {
		put(modules(status, "healthy"))
		<-ctx.Done()
		return ctx.Err()
	}}
}

func TestAnActionIsJournalledShownJudgedAndUndone(t *testing.T) {
	src := &script{runs: []func(context.Context, func(state.Section)) error{func(ctx context.Context, put func(state.Section)) error {
		put(modules(state.ModuleFailed, "unhealthy"))
		time.Sleep(5 * time.Second)
		put(modules(state.ModuleInstalled, "healthy"))
		<-ctx.Done()
		return ctx.Err()
	}}}
	var ran []state.Kind
	src.exec = func(_ context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
		ran = append(ran, a.Kind)
		progress("fetching with hunter22", 50)
		time.Sleep(time.Second)
		return state.Outcome{Result: "done", Undo: &state.Action{Kind: state.ModuleDisable, Target: a.Target}}, nil
	}
	withHub(t, src, func(t *testing.T, h *Hub) {
		c := h.Attach(state.Actor{User: "ada", Via: "console"})
		defer c.Close()
		id, err := c.Submit(t.Context(), state.Action{Kind: state.ModuleReload, Target: "a/b", Secrets: map[string]state.Secret{"k": "hunter22"}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		if p := h.Latest().Actions.Progress(id); p.Status != "running" || p.Step != "fetching with ***" || p.Percent != 50 {
			t.Errorf("progress = %+v", p)
		}
		time.Sleep(30 * time.Second)
		p := h.Latest().Actions.Progress(id)
		if p.Status != "done" || p.Verdict == nil || p.Verdict.Word != "better" {
			t.Fatalf("progress = %+v, want done and better", p)
		}
		if _, err := c.Submit(t.Context(), state.Action{Kind: state.ActionUndo, Target: string(id)}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Submit(t.Context(), state.Action{Kind: state.ActionUndo, Target: string(id)}); !errors.Is(err, ErrRefused) {
			t.Errorf("undone twice: %v, want a refusal", err)
		}
		time.Sleep(5 * time.Second)
		if p := h.Latest().Actions.Progress(id); !p.Undone {
			t.Error("the action is not marked as undone")
		}
		if len(ran) != 2 || ran[1] != state.ModuleDisable {
			t.Errorf("ran %v, want reload and disable", ran)
		}
		var phases []state.Phase
		for _, e := range h.Latest().Journal.Entries {
			phases = append(phases, e.Phase)
			if e.Actor.User != "ada" {
				t.Errorf("entry %+v: actor is not ada", e)
			}
		}
		if got, want := fmt.Sprint(phases), "[end begin verdict end begin]"; got != want {
			t.Errorf("journal, newest first: %s, want %s", got, want)
		}
	})
}

func TestSubmitRefusesWithTheReason(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		for _, tt := range []struct {
			a    state.Action
			want string
		}{
			{state.Action{Kind: "module.explode", Target: "a/b"}, `no action "module.explode"`},
			{state.Action{Kind: state.ModuleEnable, Target: "a/b"}, "it is enabled already"},
			{state.Action{Kind: state.ModuleReload, Target: "x/y"}, `there is no module "x/y"`},
			{state.Action{Kind: state.ModuleUninstall, Target: "a/b"}, "type its name"},
			{state.Action{Kind: state.ContainerRestart, Target: "web"}, "does not answer"},
			{state.Action{Kind: state.ActionUndo, Target: "nope"}, `there is no action "nope"`},
		} {
			_, err := h.Submit(t.Context(), tt.a)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s %s: %v, want a refusal with %q", tt.a.Kind, tt.a.Target, err, tt.want)
			}
		}
		if n := len(h.Latest().Journal.Entries); n != 0 {
			t.Errorf("%d journal entries for what was refused, want none", n)
		}
	})
}

func TestActionsOnOneTargetRunOneAfterTheOther(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	running, most := 0, 0
	var mu sync.Mutex
	src.exec = func(context.Context, state.Action, func(string, float64)) (state.Outcome, error) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		running--
		mu.Unlock()
		panic("executors may fault")
	}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		for range 5 {
			if _, err := h.Submit(t.Context(), state.Action{Kind: state.ModuleReload, Target: "a/b"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		mu.Lock()
		if most != 1 {
			t.Errorf("%d ran at once, want 1", most)
		}
		mu.Unlock()
		for _, p := range h.Latest().Actions.List {
			if p.Status != "failed" || !strings.Contains(p.Err, "executors may fault") {
				t.Errorf("%+v, want failed with its reason", p)
			}
		}
	})
}

func TestARunningActionIsCancelledWithWhoDidIt(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	src.exec = func(ctx context.Context, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
		for i := range 100 {
			progress("moving", float64(i))
			select {
			case <-ctx.Done():
				return state.Outcome{}, fmt.Errorf("moved %d of 100: %w", i, ctx.Err())
			case <-time.After(time.Second):
			}
		}
		return state.Outcome{Result: "moved all"}, nil
	}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		id, err := h.Submit(t.Context(), state.Action{Kind: state.ModuleReload, Target: "a/b"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20500 * time.Millisecond)
		if p := h.Latest().Actions.Progress(id); p.Left < 70*time.Second || p.Left > 90*time.Second {
			t.Errorf("at 20 %% after 20 s, %v are left, want about 80 s", p.Left)
		}
		stop := state.Action{Kind: state.ActionCancel, Target: string(id), Actor: state.Actor{User: "ada"}}
		if _, err := h.Submit(t.Context(), stop); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if p := h.Latest().Actions.Progress(id); p.Status != "failed" || p.Err != "cancelled by ada: moved 20 of 100: context canceled" {
			t.Errorf("%+v, want it cancelled by ada", p)
		}
		if _, err := h.Submit(t.Context(), stop); !errors.Is(err, ErrRefused) {
			t.Errorf("cancelling it again: %v, want a refusal", err)
		}
	})
}

func TestOnlyActionsThatMoveMuchMayTakeHours(t *testing.T) {
	for kind, want := range map[state.Kind]string{state.ModuleReload: "failed", state.LogRotate: "done"} {
		src := &script{runs: ready(state.ModuleInstalled)}
		src.exec = func(ctx context.Context, _ state.Action, _ func(string, float64)) (state.Outcome, error) {
			select {
			case <-ctx.Done():
				return state.Outcome{}, ctx.Err()
			case <-time.After(3 * time.Hour):
				return state.Outcome{}, nil
			}
		}
		withHub(t, src, func(t *testing.T, h *Hub) {
			time.Sleep(time.Second)
			spec, done, began := state.SpecOf(kind), make(chan struct{}), time.Now()
			h.actions.mu.Lock()
			h.actions.stops["x-1"] = func(error) {}
			h.actions.list = append(h.actions.list, state.Progress{Action: state.Action{Kind: kind, Target: "a/b"}, ID: "x-1"})
			h.actions.mu.Unlock()
			h.actions.perform(t.Context(), src, spec, state.Action{Kind: kind, Target: "a/b"}, "x-1", "", nil, done)
			time.Sleep(time.Second)
			if p := h.Latest().Actions.Progress("x-1"); p == nil || p.Status != want {
				t.Errorf("%s ends after %s: %+v, want it %s", kind, time.Since(began), p, want)
			}
		})
	}
}

func TestALongArgumentIsJournalledShortAndExecutedWhole(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	long, got := strings.Repeat("é", 1<<19), make(chan string, 1)
	src.exec = func(_ context.Context, a state.Action, _ func(string, float64)) (state.Outcome, error) {
		got <- a.Args["config"]
		return state.Outcome{}, nil
	}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		if _, err := h.Submit(t.Context(), state.Action{Kind: state.ModuleReload, Target: "a/b", Args: map[string]string{"config": long}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		select {
		case got := <-got:
			if got != long {
				t.Errorf("the executor got %d bytes, want all %d", len(got), len(long))
			}
		default:
			t.Error("nothing was executed")
		}
		for _, e := range h.Latest().Journal.Entries {
			if a := e.Args["config"]; e.Phase == state.PhaseBegin && (len(a) > 5000 || !strings.Contains(a, "1048576 bytes, SHA-256 ")) {
				t.Errorf("the journal has %d bytes of it: ...%s", len(a), a[max(0, len(a)-120):])
			}
		}
	})
}

func TestAReplacedSourceTakesOverAtOnce(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		if err := h.Replace(&script{runs: ready(state.ModuleDisabled)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(publishEvery)
		if got := h.Latest().Modules; got.List[0].Status != state.ModuleDisabled || got.Health.Status != state.OK {
			t.Errorf("modules = %+v, want the new source's", got)
		}
	})
}

func TestInterestsOfAllConsolesReachTheSources(t *testing.T) {
	src := &script{}
	withHub(t, src, func(t *testing.T, h *Hub) {
		a, b := h.Attach(state.Actor{User: "a"}), h.Attach(state.Actor{User: "b"})
		a.Watch(state.Interests{{Topic: state.LookContainer, Key: "c1"}})
		b.Watch(state.Interests{{Topic: state.LookLog, Key: state.AllContainers}})
		src.mu.Lock()
		seen := src.seen
		src.mu.Unlock()
		if !seen.Has(state.LookContainer, "c1") || !seen.Log("container:9") || seen.Has(state.LookQueue, "q") {
			t.Errorf("interests = %+v", seen)
		}
		time.Sleep(time.Second)
		if got := h.Latest().Workspace.Consoles; len(got) != 2 {
			t.Errorf("consoles = %+v, want two", got)
		}
		a.Close()
		if src.seen.Has(state.LookContainer, "c1") {
			t.Error("a closed console's interest stayed")
		}
		b.Close()
	})
}

func TestPlainArgumentsArePublishedCleanAndWithoutSecrets(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	got := make(chan state.Action, 1)
	src.exec = func(_ context.Context, a state.Action, _ func(string, float64)) (state.Outcome, error) {
		got <- a
		return state.Outcome{}, nil
	}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		raw := "\x1b]0;owned\x07 hunter22"
		if _, err := h.Submit(t.Context(), state.Action{Kind: state.ModuleReload, Target: "a/b", Args: map[string]string{"why": raw}}); err != nil {
			t.Fatal(err)
		}
		if a := <-got; a.Args["why"] != raw {
			t.Errorf("the executor got %q", a.Args["why"])
		}
		time.Sleep(time.Second)
		const want = "^[]0;owned^G ***"
		s := h.Latest()
		if p := s.Actions.List[0]; p.Action.Args["why"] != want {
			t.Errorf("published %q, want %q", p.Action.Args["why"], want)
		}
		for _, e := range s.Journal.Entries {
			if e.Phase == state.PhaseBegin && e.Args["why"] != want {
				t.Errorf("journalled %q, want %q", e.Args["why"], want)
			}
		}
	})
}

func TestManyActionsAtOnceAreAllSeenToTheirEnd(t *testing.T) {
	src := &script{runs: ready(state.ModuleInstalled)}
	src.exec = func(context.Context, state.Action, func(string, float64)) (state.Outcome, error) {
		time.Sleep(10 * time.Millisecond)
		return state.Outcome{}, nil
	}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		errs := make(chan error)
		for range 3 * keepActions {
			go func() {
				_, err := Do(ctx, h, state.Action{Kind: state.ModuleReload, Target: "a/b"}, false, nil)
				errs <- err
			}()
		}
		for range 3 * keepActions {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * keepEnded)
		if _, err := h.Submit(t.Context(), state.Action{Kind: state.ModuleReload, Target: "a/b"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := len(h.Latest().Actions.List); n != keepActions {
			t.Errorf("%d actions are kept, want %d", n, keepActions)
		}
	})
}

func TestASecretAmongThePlainArgumentsIsRefused(t *testing.T) {
	src := &script{runs: []func(context.Context, func(state.Section)) error{func(ctx context.Context, put func(state.Section)) error {
		put(state.Modules{List: []state.Module{{ID: "a/b", Status: state.ModuleInstalled, RequiredCredentials: []string{"api_key"}}}})
		<-ctx.Done()
		return ctx.Err()
	}}}
	withHub(t, src, func(t *testing.T, h *Hub) {
		time.Sleep(time.Second)
		_, err := h.Submit(t.Context(), state.Action{Kind: state.CredentialSet, Target: "a/b", Args: map[string]string{"api_key": "swordfish-1"}})
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "api_key is secret") {
			t.Errorf("error = %v, want a refusal that says so", err)
		}
		time.Sleep(time.Second)
		if n := len(h.Latest().Journal.Entries); n != 0 {
			t.Errorf("%d entries were journalled, want none", n)
		}
	})
}
