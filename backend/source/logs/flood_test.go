package logs

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nxadm/tail"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// floodLine returns a line of about 180 bytes with its number at the end.
func floodLine(b []byte, n int) []byte {
	b = append(b, `{"level":"info","message":{"duration":1,"ip":"::ffff:127.0.0.1","method":"GET","path":"/me","statusCode":200,"userAgent":"curl/7"},"timestamp":"2026-11-22T05:22:04.201Z","n":"`...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, "\"}\n"...)
}

// lineNumber returns the number in a flood's line.
func lineNumber(line []byte) int {
	line, ok := bytes.CutSuffix(line, []byte("\"}\n"))
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, '"')+1:]))
	if err != nil {
		return -1
	}
	return n
}

// flooder writes numbered lines, and renames and truncates the file as it goes.
type flooder struct {
	path      string
	lines     int
	perBlock  int
	each      int  // lines between two disturbances
	renames   bool // and no truncations
	rate      int  // lines a second, 0 for as fast as it goes
	rotations []string
	// looks counts the follower's looks; where set, each disturbance waits for two
	// more: a file made and emptied between two polls is unknown.
	looks *atomic.Int64
	// cuts are the numbers of the last lines before each truncation.
	cuts []int
}

func (w *flooder) run() error {
	open := func() (*os.File, error) {
		return os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	}
	f, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	var buf []byte
	disturbances := 0
	began := time.Now()
	for n := 1; n <= w.lines; {
		buf = buf[:0]
		for range w.perBlock {
			buf = floodLine(buf, n)
			n++
		}
		if _, err := f.Write(buf); err != nil {
			return err
		}
		if w.rate > 0 {
			due := began.Add(time.Duration(n) * time.Second / time.Duration(w.rate))
			if d := time.Until(due); d > 0 {
				<-time.After(d) // the writer's own pace
			}
		}
		if w.each == 0 || (n-1)%w.each != 0 || n > w.lines {
			continue
		}
		if w.looks != nil {
			for from := w.looks.Load(); w.looks.Load() < from+2; {
				runtime.Gosched()
			}
		}
		if disturbances++; disturbances%2 == 1 || w.renames {
			to := fmt.Sprintf("%s.%d", w.path, disturbances)
			if err := os.Rename(w.path, to); err != nil {
				return err
			}
			// Some more to the old file, as a daemon does until it is told to reopen.
			buf = buf[:0]
			for range 100 {
				buf = floodLine(buf, n)
				n++
			}
			if _, err := f.Write(buf); err != nil {
				return err
			}
			n = n - 100 + w.perBlock
			// Numbers stay multiples of a block: the rest of it is not written.
			w.rotations = append(w.rotations, fmt.Sprint(n-w.perBlock+100, "-", n-1))
			_ = f.Close()
			if f, err = open(); err != nil {
				return err
			}
		} else {
			w.cuts = append(w.cuts, n-1)
			if err := f.Truncate(0); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestFloodLosesNothingOverRenamesAndReportsWhatTruncationLost writes as fast as it
// goes and disturbs the file 20 times. Only lines just before a truncation may be
// missing; none may come twice.
func TestFloodLosesNothingOverRenamesAndReportsWhatTruncationLost(t *testing.T) {
	w := &flooder{path: filepath.Join(t.TempDir(), "flood.log"), lines: 2_100_000, perBlock: 1000, each: 100_000, looks: new(atomic.Int64)}
	if testing.Short() {
		w.lines, w.each = 210_000, 10_000
	}
	flood(t, w)
}

// TestRenamesUnderLoadLoseNothing renames the file 1000 times as fast as it goes,
// so that many generations come and go between two looks.
func TestRenamesUnderLoadLoseNothing(t *testing.T) {
	w := &flooder{path: filepath.Join(t.TempDir(), "flood.log"), lines: 2_002_000, perBlock: 200, each: 2000, renames: true}
	if missing := flood(t, w); missing != 0 {
		t.Errorf("%d lines are missing", missing)
	}
}

// flood runs the writer against a follower, checks every line, and gives the
// number of those that are missing.
func flood(t *testing.T, w *flooder) int {
	t.Helper()
	if err := os.WriteFile(w.path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	f := newFollower(w.path, true)
	defer f.close()
	seen := make([]uint8, w.lines+2*w.perBlock)
	live := func(b []byte) {
		for line := range bytes.Lines(b) {
			if bytes.HasSuffix(line, []byte(restGone+"\n")) {
				continue
			}
			if n := lineNumber(line); n < 0 || n >= len(seen) {
				t.Errorf("a line is broken: %q", line)
			} else {
				seen[n]++
			}
		}
	}
	done := make(chan error, 1)
	buf := make([]byte, blockSize)
	// What was rotated away before the first poll is history.
	f.poll(time.Now(), buf, live, live)
	go func() { done <- w.run() }()
	began := time.Now()
	for writing := true; writing; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			writing = false
		default:
		}
		f.poll(time.Now(), buf, live, live)
		if w.looks != nil {
			w.looks.Add(1)
		}
	}
	for {
		if got, more := f.poll(time.Now(), buf, live, live); !got && !more {
			break
		}
	}
	took := time.Since(began)
	skipped := map[int]bool{}
	for _, r := range w.rotations {
		var a, b int
		_, _ = fmt.Sscanf(r, "%d-%d", &a, &b)
		for n := a; n <= b; n++ {
			skipped[n] = true
		}
	}
	cut := map[int]bool{}
	for _, c := range w.cuts {
		cut[c] = true
	}
	missing, total := 0, 0
	for n := 1; n <= w.lines; n++ {
		switch {
		case skipped[n]:
			continue
		case seen[n] > 1:
			t.Fatalf("line %d came %d times", n, seen[n])
		case seen[n] == 0:
			missing++
			// A missing line's successor is missing too, or it was the last before a cut.
			if !cut[n] && (n+1 > w.lines || seen[n+1] != 0) {
				t.Fatalf("line %d is missing, and was not just before a truncation", n)
			}
		}
		total++
	}
	t.Logf("%d lines in %s (%.0f/s), %d renames, %d truncations seen of %d, %d lines overwritten before they could be read, at least %d bytes known lost",
		total, took.Round(time.Millisecond), float64(total)/took.Seconds(), f.rotations, f.truncations, len(w.cuts), missing, f.lost)
	if missing > 0 && f.truncations == 0 {
		t.Error("lines were lost and nothing says so")
	}
	return missing
}

// cpu returns this process's CPU time.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestFloodThroughTheSource follows a writer of another process at a rate given by
// OPSDECK_FLOOD_RATE (lines a second) for OPSDECK_FLOOD_LINES, and logs what it cost.
func TestFloodThroughTheSource(t *testing.T) {
	rate, _ := strconv.Atoi(os.Getenv("OPSDECK_FLOOD_RATE"))
	lines, _ := strconv.Atoi(os.Getenv("OPSDECK_FLOOD_LINES"))
	if lines == 0 {
		lines = 200_000
	}
	path := filepath.Join(t.TempDir(), "flood.log")
	if os.Getenv("OPSDECK_FLOOD_WRITER") != "" {
		w := &flooder{path: os.Getenv("OPSDECK_FLOOD_WRITER"), lines: lines, perBlock: 100, rate: rate}
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Files: []string{path}})
	ctx, cancel := context.WithCancel(context.Background())
	last := make(chan state.Logs, 1)
	puts := 0
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(sec state.Section) {
			puts++
			select {
			case <-last:
			default:
			}
			last <- sec.(state.Logs)
		})
	}()
	<-last
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	proc, err := os.StartProcess(self, []string{self, "-test.run=^TestFloodThroughTheSource$"}, &os.ProcAttr{
		Env: append(os.Environ(), "OPSDECK_FLOOD_WRITER="+path), Files: []*os.File{nil, nil, os.Stderr}})
	if err != nil {
		t.Fatal(err)
	}
	began, used := time.Now(), cpu()
	var logs state.Logs
	for logs = range last {
		if logs.Sources[0].Lines >= uint64(lines) {
			break
		}
	}
	took := time.Since(began)
	used = cpu() - used
	if _, err := proc.Wait(); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	if got := logs.Sources[0].Lines; got != uint64(lines) {
		t.Errorf("lines: got %d, want %d", got, lines)
	}
	recs := logs.Tails["file:"+path].Records
	if n := lineNumber([]byte(recs[len(recs)-1].Text + "\n")); n != lines {
		t.Errorf("the last record is line %d, want %d", n, lines)
	}
	t.Logf("%d lines in %s (%.0f/s): %s CPU, %.1f %% of a core, %d publications, %d records kept", lines, took.Round(time.Millisecond),
		float64(lines)/took.Seconds(), used, 100*used.Seconds()/took.Seconds(), puts, len(recs))
}

// benchFile returns a file of a million lines.
func benchFile(b *testing.B) (string, int) {
	const lines = 1_000_000
	path := filepath.Join(b.TempDir(), "bench.log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var buf []byte
	for n := 1; n <= lines; n++ {
		buf = floodLine(buf[:0], n)
		if _, err := w.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return path, lines
}

func BenchmarkFollower(b *testing.B) {
	path, lines := benchFile(b)
	buf := make([]byte, blockSize)
	used := cpu()
	for b.Loop() {
		f := newFollower(path, true)
		n := 0
		count := func(p []byte) { n += bytes.Count(p, nl) }
		for more := true; more; {
			_, more = f.poll(time.Now(), buf, count, count)
		}
		f.close()
		if n != lines {
			b.Fatalf("got %d lines, want %d", n, lines)
		}
	}
	b.ReportMetric((cpu()-used).Seconds()/float64(b.N), "cpu-s/Mline")
}

func BenchmarkNxadmTail(b *testing.B) {
	path, lines := benchFile(b)
	used := cpu()
	for b.Loop() {
		t, err := tail.TailFile(path, tail.Config{Follow: true, ReOpen: true, Logger: tail.DiscardingLogger, Location: &tail.SeekInfo{Whence: io.SeekStart}})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for range t.Lines {
			if n++; n == lines {
				break
			}
		}
		_ = t.Stop()
		t.Cleanup()
	}
	b.ReportMetric((cpu()-used).Seconds()/float64(b.N), "cpu-s/Mline")
}

func BenchmarkScan(b *testing.B) {
	path, _ := benchFile(b)
	st, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	re, err := record.Regexp(`status=5\d+ .*ms`)
	if err != nil {
		b.Fatal(err)
	}
	for _, bc := range []struct {
		name string
		q    scan.Query
	}{
		{"literal", scan.Query{Text: record.Literal("ERROR")}},
		{"regexp", scan.Query{Text: re}},
		{"level", scan.Query{Least: state.LevelError}},
		{"times and levels", scan.Query{Parse: true}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.SetBytes(st.Size())
			b.ReportAllocs()
			for b.Loop() {
				if err := scan.Scan(b.Context(), scan.File(path, 0), bc.q, 2, nil, func(*scan.Found) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
