package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func aWatch(t testing.TB, name, source, where string) Watch {
	t.Helper()
	f, err := record.Compile(where)
	if err != nil {
		t.Fatal(err)
	}
	return Watch{Name: name, Source: source, Where: where, Filter: f, Window: time.Minute}
}

func TestWatchesCountWhatIsAppended(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	appendTo(t, a, "ERROR before it began\n")
	s := New(Config{Files: []string{"*.log", "named.txt"}, Root: dir, Mask: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") },
		Watching: Watching{Watches: []Watch{aWatch(t, "errors", "*.log", "level>=error"), aWatch(t, "boom", "a.log", "boom"), aWatch(t, "none", "c.log", "x"), aWatch(t, "late", "named.txt", "x")}}})
	r := sourcetest.Run(t, s)
	matches := func(name string, n uint64) func(state.Logs) bool {
		return func(l state.Logs) bool { w := l.Watch(name); return w != nil && w.Matches == n && w.Recent == n }
	}
	l := sourcetest.Wait(r, "the history, which does not count", func(l state.Logs) bool {
		return lastText(l, "file:"+a) != "" && matches("errors", 0)(l) && l.Watch("errors").Sources == 1
	})
	if w, none := l.Watch("errors"), l.Watch("none"); none.Sources != 0 || w.Since.IsZero() {
		t.Errorf("got %+v, %+v", w, none)
	}
	appendTo(t, a, "ERROR boom password hunter22\n  at main.go:1\nINFO fine\n")
	l = sourcetest.Wait(r, "a record", matches("errors", 1))
	if w := l.Watch("errors"); w.Last != "ERROR boom password ***\n  at main.go:1" || w.LastSource != "a.log" || w.LastAt.IsZero() {
		t.Errorf("got %+v", w)
	}
	sourcetest.Wait(r, "the other watch of the same file", matches("boom", 1))
	appendTo(t, b, "ERROR in a file that appeared\n")
	l = sourcetest.Wait(r, "a file that appeared", func(l state.Logs) bool { return matches("errors", 2)(l) && l.Watch("errors").Sources == 2 })
	if w := l.Watch("errors"); w.LastSource != "b.log" {
		t.Errorf("got %+v", w)
	}
	appendTo(t, filepath.Join(dir, "named.txt"), "x\n") // it was missing: all of it is new
	sourcetest.Wait(r, "a named file that was missing", matches("late", 1))
	// Rotated by rename, it is followed; so is what the writer still adds to the old one.
	if err := os.Rename(a, a+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, a, "ERROR in the new file\n")
	appendTo(t, a+".1", "ERROR in the old file\n")
	sourcetest.Wait(r, "both", matches("errors", 4))
	// It vanishes and reappears.
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	sourcetest.Wait(r, "that it is gone", func(l state.Logs) bool { return l.Source("a.log").Err != "" })
	appendTo(t, a, "ERROR it is back\n")
	sourcetest.Wait(r, "it back", matches("errors", 5))
}

func TestWatchesAreSetWhileOthersContinue(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	appendTo(t, p, "x\n")
	s := New(Config{Files: []string{p}, Root: filepath.Dir(p), Watching: Watching{Watches: []Watch{aWatch(t, "old", "a.log", "x"), aWatch(t, "goes", "a.log", "x")}}})
	r := sourcetest.Run(t, s)
	sourcetest.Wait(r, "the history", func(l state.Logs) bool { return lastText(l, "file:"+p) == "x" })
	appendTo(t, p, "x\n")
	sourcetest.Wait(r, "one", func(l state.Logs) bool { w := l.Watch("old"); return w != nil && w.Matches == 1 })
	s.SetWatching(Watching{Watches: []Watch{aWatch(t, "old", "a.log", "x"), aWatch(t, "new", "a.log", "x")}, Filters: []state.LogFilter{{Name: "f", Where: "y"}}})
	l := sourcetest.Wait(r, "the new one", func(l state.Logs) bool { return l.Watch("new") != nil && len(l.Filters) == 1 })
	if w := l.Watch("old"); w == nil || w.Matches != 1 || l.Watch("goes") != nil || l.Watch("new").Matches != 0 {
		t.Errorf("got %+v", l.Watches)
	}
	appendTo(t, p, "x\n")
	sourcetest.Wait(r, "both", func(l state.Logs) bool { return l.Watch("old").Matches == 2 && l.Watch("new").Matches == 1 })
}

func TestAWindowForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(aWatch(t, "w", "x", "x"), time.Now())
		count := func(n uint64) { w.turn(time.Now()); w.slots[w.slot%steps] += n }
		for i, c := range []struct {
			after time.Duration
			add   uint64
			want  uint64
		}{{0, 5, 5}, {30 * time.Second, 2, 7}, {29 * time.Second, 1, 8}, {2 * time.Second, 0, 3}, {30 * time.Second, 0, 1}, {time.Hour, 4, 4}, {time.Hour, 0, 0}} {
			time.Sleep(c.after)
			count(c.add)
			if got := w.within(); got != c.want {
				t.Errorf("step %d: got %d, want %d", i, got, c.want)
			}
		}
	})
}

func TestWhichSourcesAWatchMeans(t *testing.T) {
	file := state.LogSource{Kind: "file", Title: "logs/api.log", Path: "/srv/logs/api.log"}
	container := state.LogSource{Kind: "container", Title: "api"}
	for source, want := range map[string][2]bool{
		"logs/*.log": {true, false}, "logs/api.log": {true, false}, "/srv/logs/*": {true, false}, "*.log": {false, false},
		"api": {false, true}, "container:a*": {false, true}, "container:*": {false, true}, "container:logs/*": {false, false}, "*": {false, true},
	} {
		w := watcher{Watch: Watch{Source: source}}
		if got := [2]bool{w.matches(&file), w.matches(&container)}; got != want {
			t.Errorf("%s: got %v, want %v", source, got, want)
		}
	}
}

// TestAWatchCountsEveryLineOfAFlood has blocks that are never made into records.
func TestAWatchCountsEveryLineOfAFlood(t *testing.T) {
	s := newStream(state.LogSource{}, 1<<10, func(s string) string { return s })
	w := newWatcher(aWatch(t, "w", "x", "needle"), time.Now())
	s.watched = &watched{watchers: []*watcher{w}}
	now := time.Now()
	for i := range 500 {
		var b strings.Builder
		for j := range 20 {
			word := "hay"
			if j == i%20 {
				word = "needle"
			}
			fmt.Fprintf(&b, "2026-11-24 12:00:00 INFO %s %d\n  more of it\n", word, j)
		}
		s.add([]byte(b.String()), false, now)
		if i%2 == 0 {
			s.settle()
		}
	}
	if !s.rest(now.Add(time.Second)) || w.total != 500 {
		t.Errorf("got %d of 500", w.total)
	}
	if s.rest(now.Add(time.Second)) {
		t.Error("what was counted is held still")
	}
}

func TestAWatchedContainerIsReadWhileItRunsAndNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng := &engineStub{list: []state.Container{{ID: "c1", Title: "web", State: "running"}, {ID: "c2", Title: "old", State: "exited"}}, logs: map[string]string{"c1": "ERROR of before\n"}}
		s := New(Config{Containers: eng, Watching: Watching{Watches: []Watch{aWatch(t, "w", "container:*", "level>=error")}}})
		var put atomic.Pointer[state.Logs]
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(done)
			_ = s.Run(ctx, func(sec state.Section) { l := sec.(state.Logs); put.Store(&l) })
		}()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		last := put.Load()
		eng.mu.Lock()
		opened := eng.open
		eng.mu.Unlock()
		if opened != 1 || len(last.Tails) != 0 {
			t.Errorf("%d were opened, %d are shown; only the one that runs is read", opened, len(last.Tails))
		}
		if w := last.Watch("w"); w == nil || w.Matches != 0 || w.Sources != 2 {
			t.Errorf("what was written before counts: %+v", w)
		}
		// One that starts and ends at once: all of it is new.
		eng.mu.Lock()
		eng.list = append(slices.Clone(eng.list), state.Container{ID: "c3", Title: "job", State: "running", Created: time.Now()},
			state.Container{ID: "c4", Title: "over", State: "exited", Created: time.Now()})
		eng.logs["c3"], eng.logs["c4"] = "ERROR at once\n", "ERROR and over already\n"
		eng.at = time.Now().Add(time.Millisecond)
		eng.mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		eng.mu.Lock()
		eng.list = slices.Delete(slices.Clone(eng.list), 2, 3)
		eng.mu.Unlock()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		last = put.Load()
		if w := last.Watch("w"); w.Matches != 2 || last.Source("job") != nil {
			t.Errorf("got %+v", w)
		}
		// What is over is read for a while, and then no more.
		time.Sleep(30 * time.Second)
		eng.mu.Lock()
		opened = eng.open
		eng.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if eng.mu.Lock(); eng.open != opened {
			t.Errorf("what is over was opened %d times more", eng.open-opened)
		}
		eng.mu.Unlock()
		cancel()
		<-done
	})
}

func BenchmarkWatch(b *testing.B) {
	var block strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&block, "2026-11-24T12:00:00.000Z - app - INFO - request %d of the flood that somebody writes here\n", i)
	}
	for _, where := range []string{"needle", "level>=error", "status>=500", `/time(d )?out/`} {
		b.Run(where, func(b *testing.B) {
			s := newStream(state.LogSource{}, 1<<10, func(s string) string { return s })
			s.watched = &watched{watchers: []*watcher{newWatcher(aWatch(b, "w", "x", where), time.Now())}}
			b.SetBytes(int64(block.Len()))
			data := []byte(block.String())
			for b.Loop() {
				s.watch(data, time.Now())
			}
		})
	}
}
