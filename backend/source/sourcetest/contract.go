package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Patience is how long a test waits for something that must happen. It is long,
// since it is spent only when a test fails.
const Patience = time.Minute

// Missing ends a test for which the host lacks something: it skips the test, or fails it
// where OPSDECK_TEST_REQUIRE=all.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("OPSDECK_TEST_REQUIRE") == "all" {
		t.Fatalf("OPSDECK_TEST_REQUIRE=all, but %s is missing", what)
	}
	t.Skipf("skipped: %s is missing on this host", what)
}

// Program returns the path of a program, and calls Missing where this host has none.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name)
	}
	return path
}

// pollEvery is the interval at which Until calls its condition.
const pollEvery = 10 * time.Millisecond

// Until polls ok until it returns true: for what sends no notification. What is asserted
// afterwards belongs in ok, unless it must hold from the outset.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(pollEvery), time.NewTimer(Patience)
	defer tick.Stop()
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited without success until %s", what)
		}
	}
}

// Snapshots is what publishes snapshots: a hub, or a console's connection to one.
type Snapshots interface {
	Wait(ctx context.Context, after uint64) (*state.Snapshot, error)
}

// Snapshot waits until a published snapshot satisfies ok, and returns it. What is
// asserted of it afterwards belongs in ok, unless it must hold from the outset.
func Snapshot(t testing.TB, from Snapshots, what string, ok func(*state.Snapshot) bool) *state.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var last *state.Snapshot
	for after := uint64(0); ; after = last.Version {
		s, err := from.Wait(ctx, after)
		if err != nil {
			t.Fatalf("waited without success until %s: %v; last snapshot: %.4000s", what, err, fmt.Sprintf("%+v", last))
		}
		if ok(s) {
			return s
		}
		last = s
	}
}

// Runner runs a source and keeps what it put.
type Runner struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	changed chan struct{}
	last    map[state.SectionName]state.Section
	puts    int
	errs    []error
	runs    int
}

// Run runs the source, again and again when it fails, until the test ends.
func Run(t testing.TB, src state.Source) *Runner {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{t: t, cancel: cancel, done: make(chan struct{}), changed: make(chan struct{}), last: map[state.SectionName]state.Section{}}
	own := map[state.SectionName]bool{}
	for _, n := range src.Sections() {
		own[n] = true
	}
	go func() {
		defer close(r.done)
		for ctx.Err() == nil {
			err := src.Run(ctx, func(sec state.Section) {
				if !own[state.NameOf(sec)] {
					t.Errorf("%s put section %s, which it does not own", src.Name(), state.NameOf(sec))
				}
				r.note(func() { r.last[state.NameOf(sec)] = sec; r.puts++ })
			})
			if ctx.Err() != nil {
				return
			}
			r.note(func() { r.errs = append(r.errs, err); r.runs++ })
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // the supervisor's backoff
			}
		}
	}()
	t.Cleanup(r.Stop)
	return r
}

func (r *Runner) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Stop ends the source and waits for it.
func (r *Runner) Stop() {
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(Patience):
		r.t.Error("Run did not return after its context ended")
	}
}

// Puts returns how many sections were put so far.
func (r *Runner) Puts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.puts
}

// Last returns the newest section of that name, or nil.
func (r *Runner) Last(name state.SectionName) state.Section {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[name]
}

// Wait waits until the newest section satisfies ok, and returns it. What is asserted of
// it afterwards belongs in ok, unless it must hold from the outset: a section is put
// again and again as more becomes known.
func Wait[S state.Section](r *Runner, what string, ok func(S) bool) S {
	r.t.Helper()
	var zero S
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		sec, have := r.last[state.NameOf(zero)].(S)
		changed := r.changed
		errs := r.errs
		r.mu.Unlock()
		if have && ok(sec) {
			return sec
		}
		select {
		case <-changed:
		case <-deadline.C:
			r.t.Fatalf("waited without success for %s; last errors: %v; last section: %.4000s", what, errs[max(0, len(errs)-3):], fmt.Sprintf("%+v", sec))
			return zero
		}
	}
}

// WaitErr waits for a run that ends with an error after the first n runs.
func (r *Runner) WaitErr(n int, what string) error {
	r.t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		changed, errs := r.changed, r.errs
		r.mu.Unlock()
		if len(errs) > n {
			return errs[len(errs)-1]
		}
		select {
		case <-changed:
		case <-deadline.C:
			r.t.Fatalf("waited without an error for: %s", what)
			return nil
		}
	}
}

// Runs returns how many runs have ended.
func (r *Runner) Runs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs
}

// Subject is a source under the contract.
type Subject struct {
	// New makes a source of what the test serves.
	New func(t *testing.T) state.Source
	// Ready says that a section has real data.
	Ready func(state.Section) bool
	// Down takes away what the source reads; Up gives it back. nil when the source
	// as a whole cannot fail.
	Down, Up func(t *testing.T)
}

// Contract checks that the source keeps what every source must.
func Contract(t *testing.T, s Subject) {
	ready := func(t *testing.T, r *Runner, src state.Source) {
		t.Helper()
		deadline := time.NewTimer(Patience)
		defer deadline.Stop()
		for {
			r.mu.Lock()
			sec, changed, errs := r.last[src.Sections()[0]], r.changed, r.errs
			r.mu.Unlock()
			if sec != nil && s.Ready(sec) {
				return
			}
			select {
			case <-changed:
			case <-deadline.C:
				t.Fatalf("%s never had data; errors: %v; last: %+v", src.Name(), errs, sec)
			}
		}
	}
	t.Run("cancels promptly and leaks nothing", func(t *testing.T) {
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		src := s.New(t)
		before := openFiles()
		for range 3 {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			first := make(chan struct{}, 1)
			go func() {
				done <- src.Run(ctx, func(sec state.Section) {
					if s.Ready(sec) {
						select {
						case first <- struct{}{}:
						default:
						}
					}
				})
			}()
			select {
			case <-first:
			case err := <-done:
				t.Fatalf("Run ended before it had data: %v", err)
			case <-time.After(Patience):
				t.Fatal("no data")
			}
			cancel()
			select {
			case err := <-done:
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("Run after cancel: got %v, want nil or context.Canceled", err)
				}
			case <-time.After(Patience):
				t.Fatal("Run did not return after cancel")
			}
		}
		goleak.VerifyNone(t, goleak.IgnoreCurrent())
		// What stands between source and server closes its ends a moment later.
		Until(t, fmt.Sprintf("no more descriptors are open than before three runs, %d", before), func() bool { return openFiles() <= before+2 })
	})
	if s.Down == nil {
		return
	}
	t.Run("reports down and recovers by itself", func(t *testing.T) {
		src := s.New(t)
		r := Run(t, src)
		ready(t, r, src)
		n := r.Runs()
		s.Down(t)
		err := r.WaitErr(n, "after it went down")
		if err == nil || errors.Is(err, state.ErrAbsent) {
			t.Errorf("down: got error %v, want one that is not ErrAbsent", err)
		}
		s.Up(t)
		r.mu.Lock()
		r.last = map[state.SectionName]state.Section{}
		r.mu.Unlock()
		ready(t, r, src)
	})
}

// openFiles returns how many descriptors this process has open, 0 where unknown.
func openFiles() int {
	es, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(es)
}
