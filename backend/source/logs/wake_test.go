package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// startTracker makes the library's tracker run, whose two goroutines and one descriptor are
// the process's own from the first watch on: what a test counts, it counts beside them.
func startTracker(t testing.TB) {
	t.Helper()
	path := filepath.Join(watchedDir(t), "first.log")
	sourcetest.Append(t, path, "first\n")
	w := newWaker(false)
	if _, ok := w.watch(path, time.Now()); !ok {
		t.Logf("files are polled: %s is on a file system that does not tell of changes, or there are no watches left", path)
	}
	w.close()
}

// watchedDir returns a folder of the test's own on a file system that reports changes,
// which a container's is not.
func watchedDir(t testing.TB) string {
	t.Helper()
	if dir := t.TempDir(); reportsWrites(dir) || !canWatch() {
		return dir
	}
	dir, err := os.MkdirTemp("/dev/shm", "opsdeck-test-")
	if err != nil || !reportsWrites(dir) {
		sourcetest.Missing(t, "a file system that tells of changes, in the temporary folder or /dev/shm,")
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// watching returns a waker that watches a file, and ends the test where nothing can be
// watched.
func watching(t *testing.T, path string) *waker {
	t.Helper()
	w := newWaker(false)
	t.Cleanup(w.close)
	if fresh, ok := w.watch(path, time.Now()); !ok {
		if !canWatch() {
			sourcetest.Missing(t, "inotify, or an instance of it")
		}
		t.Fatal("it is not watched")
	} else if !fresh {
		t.Fatal("a first watch must be followed by a poll")
	}
	return w
}

func TestAChangeOfAWatchedFileWakesOnce(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string) error{
		"append":   func(t *testing.T, path string) error { sourcetest.Append(t, path, "more\n"); return nil },
		"truncate": func(_ *testing.T, path string) error { return os.Truncate(path, 0) },
		"rename":   func(_ *testing.T, path string) error { return os.Rename(path, path+".1") },
		"remove":   func(_ *testing.T, path string) error { return os.Remove(path) },
		"replace": func(t *testing.T, path string) error {
			sourcetest.Append(t, path+".new", "other\n")
			return os.Rename(path+".new", path)
		},
		"behind a link": func(t *testing.T, path string) error { sourcetest.Append(t, path+".target", "more\n"); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(watchedDir(t), "a.log")
			if name == "behind a link" {
				sourcetest.Append(t, path+".target", "one\n")
				if err := os.Symlink(path+".target", path); err != nil {
					t.Fatal(err)
				}
			} else {
				sourcetest.Append(t, path, "one\n")
			}
			keep, err := os.Open(path) // as a follower does
			if err != nil {
				t.Fatal(err)
			}
			defer keep.Close()
			w := watching(t, path)
			if fresh, ok := w.watch(path, time.Now()); fresh || !ok {
				t.Fatalf("a second watch: got %v, %v", fresh, ok)
			}
			if err := change(t, path); err != nil {
				t.Fatal(err)
			}
			<-w.C
			if fresh, ok := w.watch(path, time.Now()); ok && !fresh {
				t.Error("the watch is still there: a flood would be reported write by write")
			}
		})
	}
}

func TestWhatCannotBeWatchedIsPolled(t *testing.T) {
	w := newWaker(false)
	defer w.close()
	now := time.Now()
	path := filepath.Join(watchedDir(t), "none.log")
	if _, ok := w.watch(path, now); ok {
		t.Fatal("a file that is not there is watched")
	}
	sourcetest.Append(t, path, "one\n")
	if _, ok := w.watch(path, now.Add(watchRetry-1)); ok {
		t.Error("it was tried again at once")
	}
	if !w.polls {
		if _, ok := w.watch(path, now.Add(watchRetry)); !ok && reportsWrites(path) {
			t.Error("it was not tried again")
		}
	}
	polled := newWaker(true)
	defer polled.close()
	if _, ok := polled.watch(path, now); ok {
		t.Error("a waker that polls watches")
	}
}

// The same path may be followed twice: neither follower may wait for what the other took.
func TestOnePathIsFollowedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	sourcetest.Append(t, path, "one\n")
	a, stopA := followed(t, FollowFile(path, false, false), scan.Query{})
	b, stopB := followed(t, FollowFile(path, false, false), scan.Query{})
	for i := range 20 {
		for _, next := range []func() string{a, b} {
			for got := next(); got != "one" && got != fmt.Sprint("2026 line ", i-1); got = next() {
				if got != "caught" {
					t.Fatalf("got %q", got)
				}
			}
		}
		sourcetest.Append(t, path, fmt.Sprintf("2026 line %d\n", i))
	}
	_, _ = stopA(), stopB()
}

// benchmarkWaker runs f with files that are watched, and with files that are polled as all
// were before.
func benchmarkWaker(b *testing.B, f func(b *testing.B, polls bool)) {
	startTracker(b)
	b.Run("watched", func(b *testing.B) { f(b, false) })
	b.Run("polled", func(b *testing.B) { f(b, true) })
}

// pause returns the writer's own: it is longer than the time after which a file is quiet, and no
// multiple of any time between two looks.
func pause(i int) { <-time.After(451*time.Millisecond + time.Duration(i*37%100)*time.Millisecond) }

// startBench runs a source over n files and returns where it puts.
func startBench(b *testing.B, n int, polls bool) (paths []string, puts <-chan state.Logs) {
	dir := watchedDir(b)
	for i := range n {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.log", i)))
		sourcetest.Append(b, paths[i], "2026-11-22 05:00:00Z INFO hello\n")
	}
	s := New(Config{Files: []string{filepath.Join(dir, "*.log")}})
	s.polls = polls
	ctx, cancel := context.WithCancel(b.Context())
	ended, out := make(chan error, 1), make(chan state.Logs, 1000)
	go func() { ended <- s.Run(ctx, func(sec state.Section) { out <- sec.(state.Logs) }) }()
	b.Cleanup(func() { cancel(); <-ended })
	<-out
	return paths, out
}

// BenchmarkAppendToRecord measures the time from an append to a file that was quiet until
// the record is published.
func BenchmarkAppendToRecord(b *testing.B) {
	benchmarkWaker(b, func(b *testing.B, polls bool) {
		paths, puts := startBench(b, 1, polls)
		var took []time.Duration
		for i := 0; b.Loop(); i++ {
			pause(i)
			for len(puts) > 0 {
				<-puts
			}
			text := fmt.Sprintf("2026-11-22 05:00:01Z INFO line %d", i)
			began := time.Now()
			sourcetest.Append(b, paths[0], text+"\n")
			for l := range puts {
				if r := l.Tails["file:"+paths[0]].Records; len(r) > 0 && r[len(r)-1].Text == text {
					break
				}
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		b.ReportMetric(ms(took[len(took)/2]), "ms-median")
		b.ReportMetric(ms(took[len(took)-1]), "ms-most")
	})
}

// BenchmarkFollowed50FilesIdle measures what a second costs in which nothing is written.
func BenchmarkFollowed50FilesIdle(b *testing.B) {
	benchmarkWaker(b, func(b *testing.B, polls bool) {
		startBench(b, 50, polls)
		pause(0)
		pause(1)
		used, began := cpu(), time.Now()
		for b.Loop() {
			<-time.After(time.Second)
		}
		b.ReportMetric(100*float64(cpu()-used)/float64(time.Since(began)), "%-of-a-core")
	})
}
