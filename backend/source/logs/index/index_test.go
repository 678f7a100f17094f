package index

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func openIndex(t testing.TB, path string) *Index {
	t.Helper()
	x, err := Open(path, func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func TestIndexKnowsEveryRecordAndWhereItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	data := append(sourcetest.SampleLog(rand.New(rand.NewPCG(7, 7)), 5*scan.BlockSize), "\n2027-01-01 00:00:00Z ERROR the last, hunter22\x1b[2J\n"...)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	all, hits := scanned(t, scan.File(path, 0), scan.Query{Parse: true}, 1)
	x := openIndex(t, path)

	// The end is there before anything was indexed.
	got, err := x.Before(int64(len(data)), 3)
	if err != nil || len(got) != 3 {
		t.Fatalf("got %v, %v", got, err)
	}
	if last := got[2]; last.Text != "2027-01-01 00:00:00Z ERROR the last, ***^[[2J" || last.Level != state.LevelError {
		t.Errorf("got %+v", last)
	}
	if s := x.Stat(); s.Done || s.Indexed != 0 || s.Size != int64(len(data)) {
		t.Errorf("before it was built: got %+v", s)
	}

	progress := 0
	if err := x.Build(t.Context(), 2, func(Stat) { progress++ }); err != nil || progress == 0 {
		t.Fatal(err, progress)
	}
	s := x.Stat()
	var want [state.LevelFatal + 1]uint64
	for _, h := range hits {
		want[h.Level]++
	}
	if !s.Done || s.Levels != want || s.Indexed != s.Size {
		t.Errorf("got %+v, want levels %v", s, want)
	}

	// Forwards and backwards it is the same.
	var forward, backward []Entry
	for at := int64(0); ; {
		part, err := x.After(at, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(forward) > 0 {
			part = part[1:] // the one that it began with
		}
		if len(part) == 0 {
			break
		}
		forward = append(forward, part...)
		at = part[len(part)-1].Offset
	}
	for at := s.Size; at > 0; at = backward[len(backward)-1].Offset {
		part, err := x.Before(at, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 0 {
			break
		}
		slices.Reverse(part)
		backward = append(backward, part...)
	}
	slices.Reverse(backward)
	for name, entries := range map[string][]Entry{"forwards": forward, "backwards": backward} {
		if len(entries) != len(all) {
			t.Errorf("%s: got %d records, want %d", name, len(entries), len(all))
		}
		for i := range min(len(entries), len(all)) {
			if g, w := entries[i].Text, strings.ReplaceAll(all[i], "hunter22", "***"); g != w {
				t.Fatalf("%s, record %d: got %q, want %q", name, i, g, w)
			}
		}
	}

	// A time, and a search beyond what anybody retains.
	ns := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	at, ok, err := x.At(t.Context(), ns)
	if err != nil || !ok || at != got[2].Offset {
		t.Errorf("at the new year: got %d %v %v, want %d", at, ok, err, got[2].Offset)
	}
	var m Tally
	q := scan.Query{Text: record.Literal("failed")}
	if err := x.Count(t.Context(), q, 2, &m, nil); err != nil {
		t.Fatal(err)
	}
	var places []int64
	for _, e := range forward {
		if strings.Contains(strings.ToLower(e.Text), "failed") {
			places = append(places, e.Offset)
		}
	}
	if int(m.Count) != len(places) || m.Searched != s.Size {
		t.Errorf("got %d matches in %d bytes, want %d in %d", m.Count, m.Searched, len(places), s.Size)
	}
	for _, last := range []bool{false, true} {
		spots, err := x.spots(t.Context(), 0, s.Size, q, 5, last)
		want := places[:5]
		if last {
			want = places[len(places)-5:]
		}
		if err != nil || len(spots) != 5 {
			t.Fatalf("got %v, %v", spots, err)
		}
		for i, p := range spots {
			if e, err := x.read(p); err != nil || e.Offset != want[i] || !strings.Contains(strings.ToLower(e.Text), "failed") {
				t.Errorf("match %d, from the end %v: got %+v, %v, want at %d", i, last, e, err, want[i])
			}
		}
	}
	for i, e := range forward {
		end := s.Size
		if i+1 < len(forward) {
			end = forward[i+1].Offset
		}
		if i%7 == 0 {
			for _, at := range []int64{e.Offset, (e.Offset + end) / 2} {
				if got, err := x.Align(at); err != nil || got != e.Offset {
					t.Fatalf("the record that holds %d begins at %d, got %d, %v", at, e.Offset, got, err)
				}
			}
		}
	}
	sum := uint64(0)
	c := chain{parts: []*part{{Index: x, tallies: map[string]*Tally{"failed": &m}}}}
	passed := uint64(0)
	for _, slot := range c.histogram(50, "failed", "") {
		for _, n := range slot.Levels {
			sum += n
		}
		passed += slot.Passed
	}
	if sum != uint64(len(all)) || passed != m.Count {
		t.Errorf("the histogram has %d records of %d, and %d matches of %d", sum, len(all), passed, m.Count)
	}
}

func TestIndexGrowsWithItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	sourcetest.Append(t, path, "2026-11-22 05:22:04Z ERROR one\n")
	x := openIndex(t, path)
	for i, more := range []string{"", "  its trace\n2026-11-22 05:22:05Z INFO two\n", strings.Repeat("2026-11-22 05:22:06Z INFO three\n", 20000)} {
		sourcetest.Append(t, path, more)
		if err := x.Build(t.Context(), 2, nil); err != nil {
			t.Fatal(err)
		}
		want := []uint64{0, 1, 20001}[i]
		if s := x.Stat(); s.Levels[state.LevelError] != 1 || s.Levels[state.LevelInfo] != want {
			t.Errorf("after %d additions: got %+v", i, s)
		}
	}
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if err := x.Build(t.Context(), 1, nil); !errors.Is(err, ErrReplaced) {
		t.Errorf("truncated: got %v", err)
	}
}

func TestIndexOfAHugeFileIsBounded(t *testing.T) {
	x := &Index{grain: scan.BlockSize}
	for i := range int64(200_000) {
		x.add(indexBlock{at: i * scan.BlockSize, first: i + 1, last: i + 1, levels: [7]uint32{3: 1}})
	}
	if len(x.blocks) >= indexBlocks {
		t.Errorf("%d blocks", len(x.blocks))
	}
	if s := x.Stat(); s.Levels[3] != 200_000 || s.First != 1 || s.Last != 200_000 {
		t.Errorf("got %+v", s)
	}
}

func TestIndexSaysWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	xz := filepath.Join(dir, "a.xz")
	if err := os.WriteFile(xz, []byte("\xfd7zXZ\x00 and so on"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{xz: "compressed with xz", dir: "directory", filepath.Join(dir, "none"): "no such file"} {
		if _, err := Open(path, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// BenchmarkIndex opens a file of 1 GiB (OPSDECK_BENCH_BYTES sets another size) at its
// end, indexes it and counts a literal and a regular expression in it.
func BenchmarkIndex(b *testing.B) {
	path := filepath.Join(b.TempDir(), "big.log")
	size := int64(1 << 30)
	if s := os.Getenv("OPSDECK_BENCH_BYTES"); s != "" {
		if _, err := fmt.Sscan(s, &size); err != nil {
			b.Fatal(err)
		}
	}
	piece := bytes.ReplaceAll(sourcetest.SampleLog(rand.New(rand.NewPCG(1, 1)), 4<<20), []byte(strings.Repeat("x", 1000)), nil)
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	for n := int64(0); n < size; n += int64(len(piece)) {
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("the end on the screen", func(b *testing.B) {
		for b.Loop() {
			x, err := Open(path, nil)
			if err != nil {
				b.Fatal(err)
			}
			if got, err := x.Before(st.Size(), 200); err != nil || len(got) != 200 {
				b.Fatal(len(got), err)
			}
			_ = x.Close()
		}
	})
	x := openIndex(b, path)
	b.Run("levels and times", func(b *testing.B) {
		b.SetBytes(st.Size())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for b.Loop() {
			x.mu.Lock()
			x.blocks, x.end = nil, 0
			x.mu.Unlock()
			if err := x.Build(b.Context(), 2, nil); err != nil {
				b.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.Sys-before.Sys)/(1<<20), "MiB-more")
	})
	re, err := record.Regexp(`status=5\d+$`)
	if err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]*record.Search{"a literal": record.Literal("failed"), "a regexp": re} {
		b.Run("search "+name, func(b *testing.B) {
			b.SetBytes(st.Size())
			for b.Loop() {
				var m Tally
				if err := x.Count(b.Context(), scan.Query{Text: s}, 2, &m, nil); err != nil || m.Count == 0 {
					b.Fatal(m.Count, err)
				}
			}
		})
	}
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
