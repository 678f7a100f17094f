package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// bytesInput reads data in pieces of the given size.
func bytesInput(data []byte, piece int) scan.Input {
	return scan.Input{Title: "test", Fallback: 1, Read: func(_ context.Context, to *scan.Feed) error {
		return to.From(io.MultiReader(&pieces{data, piece}))
	}}
}

type pieces struct {
	data []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.data)
	p.data = p.data[n:]
	return n, nil
}

// withoutBlanks returns a record as a stream keeps it: without lines that hold nothing.
func withoutBlanks(s string) string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimRight(l, "\r\n"); l != "" {
			out = append(out, l)
		}
	}
	return strings.Clone(state.Clean(strings.Join(out, "\n")))
}

// scanned returns the hits of a scan as text.
func scanned(t *testing.T, in scan.Input, q scan.Query, workers int) (out []string, hits []scan.Hit) {
	t.Helper()
	err := scan.Scan(t.Context(), in, q, workers, func(f *scan.Found) {
		for _, h := range f.Hits {
			f.Out = append(append(f.Out, f.Text(h)...), 0)
		}
	}, func(f *scan.Found) error {
		for _, h := range f.Hits {
			out = append(out, withoutBlanks(f.Text(h)))
		}
		hits = append(hits, slices.Clone(f.Hits)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, hits
}

func TestScanHasTheRecordsThatTheConsoleHas(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		data := sourcetest.SampleLog(rnd, 100+rnd.IntN(3*scan.BlockSize))
		s := newStream(state.LogSource{}, 1<<30, func(s string) string { return s })
		s.add(append(bytes.Clone(data), '\n'), true, time.Now())
		s.settle()
		for _, piece := range []int{1 << 20, 1000 + rnd.IntN(5000)} {
			got, hits := scanned(t, bytesInput(data, piece), scan.Query{Parse: true}, 1+rnd.IntN(3))
			if len(got) != len(s.tail) {
				t.Errorf("seed %d: got %d records, want %d", seed, len(got), len(s.tail))
			}
			for i := range min(len(got), len(s.tail)) {
				if got[i] != s.tail[i].Text || hits[i].Level != s.tail[i].Level || hits[i].Guessed != s.tail[i].Guessed {
					t.Fatalf("seed %d, record %d:\ngot  %v %s\nwant %v %s", seed, i, hits[i].Level, got[i], s.tail[i].Level, s.tail[i].Text)
				}
			}
		}
	}
}

// followed runs a scan in the background and gives its texts, notes and marks.
func followed(t *testing.T, in scan.Input, q scan.Query) (next func() string, stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	texts := make(chan string, 1000)
	end := make(chan error, 1)
	go func() {
		end <- scan.Scan(ctx, in, q, 1, nil, func(f *scan.Found) error {
			for _, n := range f.Notes {
				texts <- "note: " + n
			}
			for _, h := range f.Hits {
				texts <- strings.Clone(f.Text(h))
			}
			if f.CaughtUp {
				texts <- "caught"
			}
			return nil
		})
	}()
	stop = func() error { cancel(); return <-end }
	next = func() string {
		select {
		case s := <-texts:
			return s
		case err := <-end:
			end <- err
			return fmt.Sprint("ended: ", err)
		}
	}
	return next, stop
}

func TestFollowFileGoesThroughRotationTruncationAndADirectory(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	appendTo(t, path, "2026 old\n")
	next, stop := followed(t, FollowFile(path, false, false), scan.Query{})
	want := func(texts ...string) {
		t.Helper()
		for _, w := range texts {
			if got := next(); got != w {
				t.Fatalf("got %q, want %q", got, w)
			}
		}
	}
	want("2026 old", "caught")
	appendTo(t, path, "2026 one\n  and more\n2026 two\n")
	want("2026 one\n  and more", "2026 two")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path+".1", "2026 late\n")
	appendTo(t, path, "2026 new\n")
	a, b := next(), next()
	if strings.HasPrefix(a, "note: ") { // it was polled between the two
		a, b = b, next()
	}
	if a != "2026 late" || b != "2026 new" {
		t.Errorf("over a rename: got %q, %q", a, b)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if got := next(); !strings.Contains(got, "was truncated (1 times so far)") {
		t.Errorf("got %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := next(); !strings.Contains(got, "the file is gone; it is followed again when it comes back") {
		t.Errorf("got %q", got)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := next(); !strings.Contains(got, "it is a directory; it is followed again when a file takes its place") {
		t.Errorf("got %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path+".tmp", "2026 back\n")
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
	got := next()
	for strings.HasPrefix(got, "note: ") {
		got = next()
	}
	if got != "2026 back" {
		t.Errorf("got %q", got)
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestJournalEntriesAreRecords(t *testing.T) {
	dir := t.TempDir()
	script := `#!/bin/sh
echo "$@" > ` + dir + `/args
cat <<'END'
{"MESSAGE":"started","__REALTIME_TIMESTAMP":"1795324924201000","PRIORITY":"6","SYSLOG_IDENTIFIER":"api","_PID":"12"}
{"MESSAGE":"failed\nat once","__REALTIME_TIMESTAMP":"1795324925201000","PRIORITY":"3","_COMM":"api"}
{"MESSAGE":[104,105,27,255],"__REALTIME_TIMESTAMP":"1795324926201000"}
not an entry
END
`
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	got, hits := scanned(t, Journal("api.service", time.Unix(1795324900, 0), time.Time{}, -1, false), scan.Query{Parse: true}, 1)
	at := func(s int64) string {
		return time.UnixMicro(s).Format("2006-01-02T15:04:05.000000Z07:00")
	}
	want := []string{at(1795324924201000) + " api[12]: [INFO] started", at(1795324925201000) + " api: [ERROR] failed\n    at once", at(1795324926201000) + ` : hi^[\xFF`}
	if !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i, level := range []state.Level{state.LevelInfo, state.LevelError, 0} {
		if hits[i].Level != level || hits[i].Guessed || hits[i].Nanos != 1795324924201e6+int64(i)*1e9 {
			t.Errorf("entry %d: got %+v", i, hits[i])
		}
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	if err != nil || !strings.Contains(string(args), "--unit=api.service --since=@1795324900") {
		t.Errorf("got %s, %v", args, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\necho no journal >&2; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err = scan.Scan(t.Context(), Journal("", time.Time{}, time.Time{}, -1, false), scan.Query{}, 1, nil, func(*scan.Found) error { return nil })
	if err == nil || err.Error() != "read the journal: journalctl: no journal" {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err = scan.Scan(t.Context(), Journal("ngnix", time.Time{}, time.Time{}, -1, false), scan.Query{}, 1, nil, func(*scan.Found) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "it has no entry of a unit ngnix") {
		t.Errorf("got %v", err)
	}
}

func TestContainerLogsHaveTheEnginesTimes(t *testing.T) {
	stamp := func(s int) string { return fmt.Sprintf("2026-11-22T05:22:%02d.000000000Z ", s) }
	stream := slices.Concat(frame(1, stamp(1)+"one\n"), frame(2, stamp(2)+"two\n"), frame(1, stamp(3)+"  more\n"), frame(1, stamp(4)+"unfinished"))
	open := func(_ context.Context, name string, _ time.Time, _ int, _ bool) (io.ReadCloser, bool, error) {
		if name != "api" {
			return nil, false, fs.ErrNotExist
		}
		return io.NopCloser(bytes.NewReader(stream)), false, nil
	}
	got, hits := scanned(t, Container("api", "api", open, time.Time{}, -1, false), scan.Query{Parse: true}, 1)
	if want := []string{"one", "two\n  more", "unfinished"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i, s := range []int{1, 2} {
		if want := time.Date(2026, 11, 22, 5, 22, s, 0, time.UTC).UnixNano(); hits[i].Nanos != want || hits[i].Guessed {
			t.Errorf("%s: got %+v", got[i], hits[i])
		}
	}
	err := scan.Scan(t.Context(), Container("x", "x", open, time.Time{}, -1, false), scan.Query{}, 1, nil, func(*scan.Found) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// FuzzBoundaries holds the rules of where records begin: however a log is cut into
// blocks, its records are the same.
