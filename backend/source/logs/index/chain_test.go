package index

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// inUTF16 returns text in little endian with its mark.
func inUTF16(text []byte) []byte {
	b := []byte("\xff\xfe")
	for _, u := range utf16.Encode([]rune(string(text))) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rotatedLog writes a log with three rotated files: compressed, in UTF-16 and plain.
// It gives the records of all of them.
func rotatedLog(t *testing.T, path string, size int) (all []string, hits []scan.Hit) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(3, 4))
	for i, name := range []string{".3.gz", ".2", ".1", ""} {
		data := append(sourcetest.SampleLog(rnd, size), '\n')
		raw := data
		switch i {
		case 0:
			raw = gzipped(t, data)
		case 1:
			raw = inUTF16(data)
		}
		if err := os.WriteFile(path+name, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		texts, h := scanned(t, scan.File(path+name, 0), scan.Query{Parse: true}, 1)
		all, hits = append(all, texts...), append(hits, h...)
	}
	return all, hits
}

func openChain(t *testing.T, path string) *chain {
	t.Helper()
	c := &chain{path: path}
	if _, err := c.refresh(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func walked(t *testing.T, c *chain, at int64, back bool, n int, s *selector) []Entry {
	t.Helper()
	w, err := c.walk(at, back, n, s)
	if err != nil {
		t.Fatal(err)
	}
	for !w.ended() {
		if err := w.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w.found
}

// everywhere walks through all of a chain, n records at a time.
func everywhere(t *testing.T, c *chain, back bool, n int, s *selector) (all []Entry) {
	t.Helper()
	at := c.begin()
	if back {
		at = -1
	}
	for {
		part := walked(t, c, at, back, n, s)
		switch {
		case back && len(part) > 0:
			at, all = part[0].Offset, append(slices.Clone(part), all...)
		case !back && len(part) > 1:
			at, all = part[len(part)-1].Offset, append(all, part[:len(part)-1]...)
		default:
			return append(all, part...)
		}
	}
}

func TestAChainIsOneLogFromItsOldestFileOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	all, hits := rotatedLog(t, path, 3*scan.BlockSize)
	filter, err := record.Compile("failed not 77")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		s    *selector
		pass func(i int) bool
	}{
		{"all", nil, func(int) bool { return true }},
		{"a filter", &selector{q: scan.Query{Where: filter}, key: "filter"}, func(i int) bool {
			return filter.Match(state.LogRecord{Text: all[i]})
		}},
		{"a level", &selector{q: scan.Query{Least: state.LevelError}, key: "level"}, func(i int) bool { return hits[i].Level >= state.LevelError }},
		{"a filter and a level", &selector{q: scan.Query{Where: filter, Least: state.LevelError}, key: "both"}, func(i int) bool {
			return hits[i].Level >= state.LevelError && filter.Match(state.LogRecord{Text: all[i]})
		}},
		{"what is nowhere", &selector{q: scan.Query{Least: state.LevelFatal}, key: "none"}, func(int) bool { return false }},
	} {
		var want []string
		for i := range all {
			if tc.pass(i) {
				want = append(want, all[i])
			}
		}
		c := openChain(t, path)
		if len(c.parts) != 4 {
			t.Fatalf("%d files", len(c.parts))
		}
		// With and without what an index and a tally know.
		for _, known := range []bool{false, true} {
			if known {
				for _, p := range c.parts {
					if err := c.index(t.Context(), p, func() {}); err != nil {
						t.Fatal(err)
					}
				}
				if tc.s != nil {
					if err := c.count(t.Context(), tc.s, func() {}); err != nil {
						t.Fatal(err)
					}
					if n, searched := c.counted(tc.s.key); int(n) != len(want) {
						t.Errorf("%s: %d counted in %d bytes, want %d", tc.name, n, searched, len(want))
					}
				}
			}
			for _, back := range []bool{false, true} {
				got := everywhere(t, c, back, 50, tc.s)
				if len(got) != len(want) {
					t.Fatalf("%s, back %v, known %v: got %d records, want %d", tc.name, back, known, len(got), len(want))
				}
				for i := range got {
					if got[i].Text != want[i] {
						t.Fatalf("%s, back %v, known %v, record %d: got %q, want %q", tc.name, back, known, i, got[i].Text, want[i])
					}
					if i > 0 && got[i].Offset <= got[i-1].Offset {
						t.Fatalf("%s: places do not rise at record %d", tc.name, i)
					}
					if at, err := c.align(got[i].Offset); i%97 == 0 && (err != nil || at != got[i].Offset) {
						t.Fatalf("%s: the record at %d begins at %d, %v", tc.name, got[i].Offset, at, err)
					}
				}
			}
		}
		size, indexed, _ := c.extent(0)
		if indexed != size {
			t.Errorf("%d of %d bytes are indexed", indexed, size)
		}
		sum := uint64(0)
		for _, slot := range c.histogram(80, "", "") {
			for _, n := range slot.Levels {
				sum += n
			}
		}
		if sum != uint64(len(all)) {
			t.Errorf("the histogram has %d records of %d", sum, len(all))
		}
	}
}

// What was found stays where it is while files are renamed, copied, compressed and
// removed behind it.
func TestPlacesOutliveRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	line := func(n int) string { return fmt.Sprintf("2026-11-22 05:%02d:00Z INFO record %d\n", n, n) }
	write(".1", line(1)+line(2))
	write("", line(3)+line(4))
	c := openChain(t, path)
	places := map[int]int64{}
	check := func(what string, want ...int) {
		t.Helper()
		if _, err := c.refresh(); err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, e := range everywhere(t, c, false, 100, nil) {
			var n int
			if _, err := fmt.Sscan(e.Text[strings.Index(e.Text, "record ")+7:], &n); err != nil {
				t.Fatal(err)
			}
			if at, known := places[n]; known && at != e.Offset {
				t.Errorf("%s: record %d was at %d and is at %d", what, n, at, e.Offset)
			}
			places[n] = e.Offset
			got = append(got, n)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(path+from, path+to); err != nil {
			t.Fatal(err)
		}
	}
	check("at first", 1, 2, 3, 4)
	rename(".1", ".2")
	rename("", ".1")
	write("", line(5))
	check("renamed", 1, 2, 3, 4, 5)
	if err := os.WriteFile(path+".3.gz", gzipped(t, []byte(line(1)+line(2))), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + ".2"); err != nil {
		t.Fatal(err)
	}
	rename(".1", ".2")
	rename("", ".1")
	write("", line(6))
	check("compressed", 1, 2, 3, 4, 5, 6)
	// Copied and truncated.
	rename(".2", ".4")
	rename(".1", ".2")
	if err := os.Remove(path + ".3.gz"); err != nil {
		t.Fatal(err)
	}
	rename(".4", ".3")
	write(".1", line(6))
	write("", "")
	sourcetest.Append(t, path, "x\n")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	check("copied and truncated", 3, 4, 5, 6)
	sourcetest.Append(t, path, line(7))
	check("goes on", 3, 4, 5, 6, 7)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("the live file is away", 3, 4, 5, 6)
	write("", line(8))
	check("and back", 3, 4, 5, 6, 8)
}

// A record that is longer than what is read at a time is found whole on either side.
func TestAChainHoldsVeryLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	long := "2026-11-22 05:00:00Z ERROR " + strings.Repeat("x", 10<<20)
	sourcetest.Append(t, path, "2026-11-22 05:00:00Z INFO one\n"+long+"\n2026-11-22 05:00:02Z INFO two\n")
	c := openChain(t, path)
	for _, s := range []*selector{nil, {q: scan.Query{Least: state.LevelInfo}, key: "info"}} {
		for _, back := range []bool{false, true} {
			got := everywhere(t, c, back, 2, s)
			if len(got) != 3 || len(got[1].Text) > scan.MaxRecord+200 || !strings.Contains(got[1].Text, "cut: the line has 10485787 bytes") || got[1].Level != state.LevelError || !strings.HasSuffix(got[2].Text, "two") {
				for i := range got {
					t.Logf("%d: %d bytes, %.60q ... %q", i, len(got[i].Text), got[i].Text, got[i].Text[max(0, len(got[i].Text)-60):])
				}
				t.Fatalf("selector %v, back %v: got %d records", s != nil, back, len(got))
			}
		}
	}
	if at, err := c.align(c.parts[0].place(5 << 20)); err != nil || at != c.parts[0].place(30) {
		t.Errorf("the middle of the long line belongs to %d, %v", at, err)
	}
}

func TestUnpackedReadsAtAnyPlace(t *testing.T) {
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(5, 6))
	data := bytes.ReplaceAll(sourcetest.SampleLog(rnd, 3*unpackedKept), []byte("\r"), nil)
	for name, raw := range map[string][]byte{"a.gz": gzipped(t, data), "a.log": inUTF16(data)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		x := openIndex(t, path)
		if n, err := x.Size(); err != nil || n != int64(len(data)) {
			t.Fatalf("%s: the size is %d, %v, want %d", name, n, err, len(data))
		}
		buf := make([]byte, packedMax)
		for range 20 {
			at := rnd.IntN(len(data) + 10)
			n, _ := x.r.ReadAt(buf[:rnd.IntN(len(buf))], int64(at))
			if !bytes.Equal(buf[:n], data[min(at, len(data)):min(len(data), at+n)]) {
				t.Fatalf("%s: something else is at %d", name, at)
			}
			if m := len(x.packed.kept); m > 2*unpackedKept {
				t.Fatalf("%s: %d bytes are kept", name, m)
			}
		}
	}
	// One in UTF-16 that grows, by half a character too.
	path := filepath.Join(dir, "a.log")
	x := openIndex(t, path)
	if _, err := x.Size(); err != nil {
		t.Fatal(err)
	}
	sourcetest.Append(t, path, "x\x00y")
	if n, err := x.Size(); err != nil || n != int64(len(data)+1) {
		t.Errorf("grown: got %d, %v", n, err)
	}
	sourcetest.Append(t, path, "\x00")
	if n, err := x.Size(); err != nil || n != int64(len(data)+2) {
		t.Errorf("grown by half: got %d, %v, want %d", n, err, len(data)+2)
	}
}

func TestATimeIsFoundWithAndWithoutAnIndex(t *testing.T) {
	dir := t.TempDir()
	var rising, mixed strings.Builder
	for i := range 40_000 {
		line := func(s int) string {
			return fmt.Sprintf("2026-11-22 %02d:%02d:%02dZ INFO record %d\n", s/3600, s/60%60, s%60, s)
		}
		rising.WriteString(line(2 * i))
		mixed.WriteString(line((2*i + 20_000*(i/10_000%2)) % 86_400))
		if i%5 == 0 {
			rising.WriteString("one without a time\n")
		}
	}
	for name, text := range map[string]string{"rising": rising.String(), "mixed": mixed.String()} {
		path := filepath.Join(dir, name)
		sourcetest.Append(t, path, text)
		day := scan.Parse("2026-11-22 00:00:00Z x").Nanos
		for _, indexed := range []bool{false, true} {
			for _, s := range []int64{-5, 0, 1, 7777, 40_000, 79_997, 79_998, 79_999, 86_500} {
				c := openChain(t, path)
				if indexed {
					if err := c.index(t.Context(), c.parts[0], func() {}); err != nil {
						t.Fatal(err)
					}
				}
				_, halved, err := c.parts[0].halve(t.Context(), day+s*1e9)
				if err != nil || name == "rising" && !halved {
					t.Fatal(halved, err)
				}
				at, err := c.at(t.Context(), day+s*1e9, func(*part) {})
				if err != nil {
					t.Fatal(err)
				}
				got := "the end"
				if es := walked(t, c, at, false, 1, nil); len(es) > 0 {
					got = es[0].Text
				}
				want := "the end"
				for l := range strings.Lines(text) {
					if r := scan.Parse(strings.TrimSpace(l)); !r.Guessed && r.Nanos >= day+s*1e9 {
						want = r.Text
						break
					}
				}
				if name == "rising" && got != want {
					t.Errorf("%s, indexed %v, second %d: got %q, want %q", name, indexed, s, got, want)
				}
				if r := scan.Parse(got); name == "mixed" && want != "the end" && r.Nanos < day+s*1e9 {
					t.Errorf("%s, indexed %v, second %d: got %q", name, indexed, s, got)
				}
			}
		}
	}
}
