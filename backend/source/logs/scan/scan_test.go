package scan

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// bytesInput reads data in pieces of the given size.
func bytesInput(data []byte, piece int) Input {
	return Input{Title: "test", Fallback: 1, Read: func(_ context.Context, to *Feed) error {
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
func scanned(t *testing.T, in Input, q Query, workers int) (out []string, hits []Hit) {
	t.Helper()
	err := Scan(t.Context(), in, q, workers, func(f *Found) {
		for _, h := range f.Hits {
			f.Out = append(append(f.Out, f.Text(h)...), 0)
		}
	}, func(f *Found) error {
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

func TestScanFindsWhatAskingEveryRecordFinds(t *testing.T) {
	re, err := record.Regexp(`KeyError: \d*7$|n.:\d+5`)
	if err != nil {
		t.Fatal(err)
	}
	where, err := record.Compile(`status>=450 or (level>=error not failed)`)
	if err != nil {
		t.Fatal(err)
	}
	word, err := record.Compile(`failed level=error`)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		data := sourcetest.SampleLog(rnd, 3*BlockSize)
		all, allHits := scanned(t, bytesInput(data, 1<<20), Query{Parse: true}, 1)
		for _, tc := range []struct {
			name string
			q    Query
			want func(string, Hit) bool
		}{
			{"text", Query{Text: record.Literal("failed")}, func(s string, _ Hit) bool { return strings.Contains(strings.ToLower(s), "failed") }},
			{"text, not", Query{Text: record.Literal("failed"), Invert: true}, func(s string, _ Hit) bool { return !strings.Contains(strings.ToLower(s), "failed") }},
			{"regexp", Query{Text: re}, func(s string, _ Hit) bool { return re.Matcher().Match(s) }},
			{"level", Query{Least: state.LevelError}, func(_ string, h Hit) bool { return h.Level >= state.LevelError }},
			{"where", Query{Where: where}, func(s string, h Hit) bool { return where.Match(state.LogRecord{Text: s, Level: h.Level}) }},
			{"where with a word", Query{Where: word}, func(s string, h Hit) bool { return word.Match(state.LogRecord{Text: s, Level: h.Level}) }},
			{"since", Query{Since: 1795324924e9 + 50e9, Until: 1795324924e9 + 99e9, Text: record.Literal("request")},
				func(s string, h Hit) bool {
					return strings.Contains(s, "request") && h.Nanos >= 1795324924e9+50e9 && h.Nanos < 1795324924e9+99e9
				}},
		} {
			var want []string
			hit := map[int]bool{}
			for i, s := range all {
				if tc.want(s, allHits[i]) {
					want = append(want, s)
					hit[i] = true
				}
			}
			if got, _ := scanned(t, bytesInput(data, 1<<20), tc.q, 2); !slices.Equal(got, want) {
				t.Errorf("seed %d, %s: got %d records, want %d", seed, tc.name, len(got), len(want))
			}
			before, after := rnd.IntN(4), rnd.IntN(4)
			tc.q.Before, tc.q.After = before, after
			want = want[:0]
			gaps, last := 0, -1
			for i, s := range all {
				near := false
				for k := i - after; k <= i+before; k++ {
					near = near || hit[k]
				}
				if near {
					if last >= 0 && i > last+1 {
						gaps++
					}
					want, last = append(want, s), i
				}
			}
			got, hits := scanned(t, bytesInput(data, 1<<20), tc.q, 2)
			if !slices.Equal(got, want) {
				i := 0
				for i < min(len(got), len(want)) && got[i] == want[i] {
					i++
				}
				t.Errorf("seed %d, %s with %d before and %d after: got %d records, want %d; first at %d: %.300q", seed, tc.name, before, after, len(got), len(want), i, got[i:min(i+2, len(got))])
				t.Errorf("want %.300q", want[i:min(i+2, len(want))])
			}
			if before+after > 0 {
				n := 0
				for _, h := range hits {
					if h.Gap {
						n++
					}
				}
				if n != gaps {
					t.Errorf("seed %d, %s with %d before and %d after: %d gaps, want %d", seed, tc.name, before, after, n, gaps)
				}
			}
		}
	}
}

func TestScanReadsFilesOfEveryKind(t *testing.T) {
	dir := t.TempDir()
	packed := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		if _, err := io.WriteString(w, "one\ntwo\n"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var gz, zs bytes.Buffer
	zw, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	bz, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWacUK3cAAALBgAAQAgGEgCAAIYAMAjj1G4u5IpwoSFOKFbuA")
	if err != nil {
		t.Fatal(err)
	}
	wide := func(mark string, big bool) []byte {
		b := []byte(mark)
		for _, u := range utf16.Encode([]rune("one\r\nzwei 😀\r\n")) {
			if big {
				b = append(b, byte(u>>8), byte(u))
			} else {
				b = append(b, byte(u), byte(u>>8))
			}
		}
		return b
	}
	long := strings.Repeat("x", 10<<20)
	for _, tc := range []struct {
		name string
		data []byte
		want []string
	}{
		{"plain.log", []byte("one\ntwo\n"), []string{"one", "two"}},
		{"no newline.log", []byte("one\ntwo"), []string{"one", "two"}},
		{"empty.log", nil, nil},
		{"newlines.log", []byte("\n\n\r\n"), nil},
		{"crlf.log", []byte("one\r\ntwo\r\n"), []string{"one", "two"}},
		{"nuls.log", []byte("one\x00\ntwo\n"), []string{"one^@", "two"}},
		{"invalid.log", []byte("one\xff\ntw\x1b[2Jo\n"), []string{`one\xFF`, "tw^[[2Jo"}},
		{"marked.log", []byte("\xef\xbb\xbfone\ntwo\n"), []string{"one", "two"}},
		{"utf-16le.log", wide("\xff\xfe", false), []string{"one", "zwei 😀"}},
		{"utf-16be.log", wide("\xfe\xff", true), []string{"one", "zwei 😀"}},
		{"half a unit.log", append(wide("\xff\xfe", false), 'x'), []string{"one", "zwei 😀", "\uFFFD"}},
		{"long.log", []byte("one\n" + long + "\ntwo\n"), []string{"one", long, "two"}},
		{"packed.log.gz", packed(gzip.NewWriter(&gz), &gz), []string{"one", "two"}},
		{"packed.log.zst", packed(zw, &zs), []string{"one", "two"}},
		{"packed.log.bz2", bz, []string{"one", "two"}},
	} {
		path := filepath.Join(dir, tc.name)
		if err := os.WriteFile(path, tc.data, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, _ := scanned(t, File(path, 0), Query{}, 2); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %.200q, want %.200q", tc.name, got, tc.want)
		}
	}
}

func TestScanJumpsOverHoles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse.log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{0, 1 << 30, 20 << 30} {
		if _, err := f.WriteAt([]byte("2026-11-22 05:22:04 something\n"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(1 << 40); err != nil {
		sourcetest.Missing(t, fmt.Sprintf("a file system that holds a file of 1 TiB (%v)", err))
	}
	if !emptyFrom(f, 1<<39) {
		sourcetest.Missing(t, "a system that tells where a file's holes are")
	}
	got, _ := scanned(t, File(path, 0), Query{Text: record.Literal("something")}, 2)
	if len(got) != 3 {
		t.Errorf("got %d records of 3", len(got))
	}
}

func TestScanSaysWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	locked := filepath.Join(dir, "locked.log")
	if err := os.WriteFile(locked, []byte("x\n"), 0); err != nil {
		t.Fatal(err)
	}
	xz := filepath.Join(dir, "a.xz")
	broken := filepath.Join(dir, "b.gz")
	for path, data := range map[string]string{xz: "\xfd7zXZ\x00....", broken: "\x1f\x8b\x08\x00garbage"} {
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ path, want string }{
		{filepath.Join(dir, "none.log"), "none.log: no such file or directory"},
		{dir, "it is a directory: name the files in it"},
		{xz, "xzcat FILE | opsdeck logs -"},
		{broken, "b.gz: "},
	} {
		err := Scan(t.Context(), File(tc.path, 0), Query{}, 1, nil, func(*Found) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.path, err)
		}
	}
	if os.Getuid() != 0 {
		err := Scan(t.Context(), File(locked, 0), Query{}, 1, nil, func(*Found) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "permission denied: give this user the right to read it") {
			t.Errorf("got %v", err)
		}
	}
}

func TestScanEndsWithItsContextAndWithItsReader(t *testing.T) {
	data := sourcetest.SampleLog(rand.New(rand.NewPCG(1, 1)), 10*BlockSize)
	full := errors.New("full")
	n := 0
	err := Scan(t.Context(), bytesInput(data, 4096), Query{}, 2, nil, func(*Found) error { n++; return full })
	if !errors.Is(err, full) || n != 1 {
		t.Errorf("got %v after %d blocks", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = Scan(ctx, bytesInput(data, 4096), Query{}, 2, nil, func(*Found) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel = context.WithCancel(t.Context())
	go func() { _, _ = io.WriteString(w, "one\n"); cancel() }()
	if err = Scan(ctx, Reader("-", r), Query{}, 2, nil, func(*Found) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("reading what never ends: got %v", err)
	}
}

func TestRotationsAreJoinedInOrder(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	at := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for i, f := range []struct {
		name, text string
		age        time.Duration
	}{
		{"a.log", "live\n", 0},
		{"a.log.1", "newest\n", 24 * time.Hour},
		{"a.log.2.gz", "older\n", 48 * time.Hour},
		{"a.log.10.gz", "oldest", 240 * time.Hour},
		{"a.log-20261101", "by date\n", 21 * 24 * time.Hour},
		{"a.log.3.gz", "both\n", 72 * time.Hour},
		{"a.log.3", "both\n", 72 * time.Hour},
		{"a.log.bak", "not one\n", time.Hour},
		{"ab.log.1", "another's\n", time.Hour},
	} {
		data := []byte(f.text)
		if strings.HasSuffix(f.name, ".gz") {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(data)
			_ = w.Close()
			data = b.Bytes()
		}
		p := filepath.Join(dir, f.name)
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(i, err)
		}
		if err := os.Chtimes(p, at.Add(-f.age), at.Add(-f.age)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(since time.Time) []string {
		var ins []Input
		for _, p := range append(Rotations(path, since), path) {
			ins = append(ins, File(p, 0))
		}
		got, _ := scanned(t, Joined(path, ins...), Query{}, 2)
		return got
	}
	if got, want := read(time.Time{}), []string{"by date", "oldest", "both", "older", "newest", "live"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := read(at.Add(-50*time.Hour)), []string{"older", "newest", "live"}; !slices.Equal(got, want) {
		t.Errorf("since two days ago: got %q, want %q", got, want)
	}
}

func TestLastOfReadsOnlyTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	rnd := rand.New(rand.NewPCG(3, 3))
	data := append(sourcetest.SampleLog(rnd, 6*tailWindow), '\n')
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []Query{{}, {Text: record.Literal("failed")}, {Text: record.Literal("request 3 ")}} {
		all, _ := scanned(t, File(path, 0), q, 2)
		for _, n := range []int{1, 10, 100000} {
			read := 0
			got, _ := scanned(t, LastOf(path, n, q, 2), q, 2)
			for _, s := range got {
				read += len(s)
			}
			want := all[max(0, len(all)-n):]
			if len(got) < len(want) || !slices.Equal(got[len(got)-len(want):], want) {
				t.Errorf("the last %d: got %d records, want at least %d", n, len(got), len(want))
			}
			if q.Text == nil && n == 10 && int64(read) > st.Size()/2 {
				t.Errorf("the last %d: %d bytes of %d were read", n, read, st.Size())
			}
		}
	}
}

// followed runs a scan in the background and gives its texts, notes and marks.
func followed(t *testing.T, in Input, q Query) (next func() string, stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	texts := make(chan string, 1000)
	end := make(chan error, 1)
	go func() {
		end <- Scan(ctx, in, q, 1, nil, func(f *Found) error {
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

func TestReaderPassesOnDataBeforeItsEnd(t *testing.T) {
	r, w := io.Pipe()
	next, _ := followed(t, Reader("-", r), Query{Text: record.Literal("a")})
	for _, text := range []string{"first a\n", "second a\n  with more\n"} {
		if _, err := io.WriteString(w, "b\n"+text); err != nil {
			t.Fatal(err)
		}
		got := next()
		for got == "caught" {
			got = next()
		}
		if got != strings.TrimRight(text, "\n") {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	_, _ = io.WriteString(w, "the last without an end: a")
	_ = w.Close()
	got := next()
	for got == "caught" {
		got = next()
	}
	if got != "the last without an end: a" {
		t.Errorf("got %q", got)
	}
	if got := next(); got != "ended: <nil>" {
		t.Errorf("got %q", got)
	}
}

// What comes steadily is given on as it comes, all but the last record, which may go on.
func TestALiveInputThatIsNeverQuietIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			for i := range 100 {
				fmt.Fprintf(w, "2026-11-22 05:00:00Z INFO line %d\n", i)
				time.Sleep(QuietFor / 5)
			}
			w.Close()
		}()
		began := time.Now()
		n, late := 0, time.Duration(0)
		err := Scan(t.Context(), Reader("test", r), Query{}, 1, nil, func(f *Found) error {
			for range f.Hits {
				late = max(late, time.Since(began)-time.Duration(n)*QuietFor/5)
				n++
			}
			return nil
		})
		if err != nil || n != 100 || late > 2*QuietFor {
			t.Errorf("%d lines came, the latest after %s, %v", n, late, err)
		}
	})
}

func FuzzBoundaries(f *testing.F) {
	f.Add([]byte("a\n b\nTraceback (most recent call last):\n  x\nE: 1\nc\n\n}\n"), uint8(3))
	f.Add([]byte("\n\n \r\n{\r\n  x\r\n}\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		var whole [][]byte
		for at := 0; at < len(data); {
			end := recordEnd(data, at, LineEnd(data, at))
			if start := RecordStart(data, LineStart(data, end-1)); end > at && start != at {
				t.Fatalf("%q: the record at %d ends at %d, of which the beginning is %d", data, at, end, start)
			}
			whole = append(whole, data[at:end])
			at = end
		}
		if !bytes.Equal(bytes.Join(whole, nil), data) {
			t.Fatalf("%q: records do not cover it", data)
		}
		if n := LastHead(data); n > 0 && !BeginsRecord(data, n, LineEnd(data, n)) {
			t.Fatalf("%q: there is no record at %d", data, n)
		}
	})
}
