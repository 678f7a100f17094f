package supervisor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestABackoffDoublesUpToItsBoundWithJitter(t *testing.T) {
	b := Backoff{Min: time.Second, Max: 5 * time.Second}
	for range 3 {
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			if got := b.Next(); got < want/2 || got >= want/2+want {
				t.Errorf("got %s, want %s give or take its half", got, want)
			}
		}
		b.Reset()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b.Pause(ctx) {
		t.Error("a pause whose context has ended was waited for")
	}
}

// play runs a loop over the runs given, and returns its failures and recoveries.
func play(t *testing.T, runs ...func(ctx context.Context, ok func()) error) (l *Loop, failed *[]Failure, recovered *[]int) {
	t.Helper()
	failed, recovered = new([]Failure), new([]int)
	n := 0
	l = &Loop{Name: "it",
		Run: func(ctx context.Context, ok func()) error {
			if n++; n > len(runs) {
				<-ctx.Done()
				return ctx.Err()
			}
			return runs[n-1](ctx, ok)
		},
		Failed:    func(f Failure) { *failed = append(*failed, f) },
		Recovered: func(n int) { *recovered = append(*recovered, n) },
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(done); l.Do(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return l, failed, recovered
}

func fails(context.Context, func()) error { return errors.New("broken") }

func TestFailuresAreCountedUntilItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, failed, recovered := play(t, fails, fails,
			func(context.Context, func()) error { panic("oh") },
			func(context.Context, func()) error { return nil },
			func(_ context.Context, ok func()) error { ok(); ok(); return errors.New("again") },
			func(context.Context, func()) error { return state.Absence(errors.New("none")) },
			func(_ context.Context, ok func()) error { time.Sleep(2 * Max); return errors.New("late") },
		)
		time.Sleep(time.Minute)
		synctest.Wait()
		var attempts []int
		var why []string
		for _, f := range *failed {
			attempts = append(attempts, f.Attempt)
			why = append(why, f.Err.Error())
		}
		if want := []int{1, 2, 3, 4, 1, 2, 3}; !slices.Equal(attempts, want) || !slices.Equal(*recovered, []int{4}) {
			t.Errorf("attempts %v, recovered %v; want %v, [4]", attempts, *recovered, want)
		}
		for i, want := range []string{"broken", "broken", "it: panic: oh", "it ended without a reason", "again", "none", "late"} {
			if !strings.HasPrefix(why[i], want) {
				t.Errorf("failure %d is %q, want %q", i, why[i], want)
			}
		}
		if p := (*failed)[5].Pause; p != Absent {
			t.Errorf("what is absent is looked for after %s, want %s", p, Absent)
		}
		if p := (*failed)[4].Pause; p < Max/2 {
			t.Errorf("what works and fails at once is run after %s", p)
		}
		if p := (*failed)[6].Pause; p >= Min+Min/2 {
			t.Errorf("what has run for long is run again after %s", p)
		}
	})
}

func TestARestartEndsARunAndAPauseAndIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := make(chan int, 10)
		l, failed, _ := play(t,
			func(ctx context.Context, _ func()) error { ran <- 1; <-ctx.Done(); return ctx.Err() },
			func(context.Context, func()) error { ran <- 2; return errors.New("broken") },
			func(context.Context, func()) error { ran <- 3; return errors.New("broken") },
		)
		began := time.Now()
		<-ran
		l.Restart()
		<-ran
		synctest.Wait() // it pauses
		l.Restart()
		<-ran
		synctest.Wait()
		if time.Since(began) != 0 || len(*failed) != 2 || (*failed)[1].Attempt != 1 {
			t.Errorf("after %s: %+v, want two failures at once, each the first", time.Since(began), *failed)
		}
	})
}
