package logs

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
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

// withoutBlanks is a record as a stream keeps it: without lines that hold nothing.
func withoutBlanks(s string) string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimRight(l, "\r\n"); l != "" {
			out = append(out, l)
		}
	}
	return strings.Clone(state.Clean(strings.Join(out, "\n")))
}

// scanned are the hits of a scan as text.
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

// someLog is a log with all that can stand between the beginnings of two records.
func someLog(rnd *rand.Rand, size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		end := "\n"
		if rnd.IntN(20) == 0 {
			end = "\r\n"
		}
		at := time.Unix(1795324924+int64(i), 0).UTC().Format("2006-01-02 15:04:05,000")
		switch rnd.IntN(12) {
		case 0:
			fmt.Fprintf(&b, "%s - app - ERROR - failed %d%sTraceback (most recent call last):%s  File \"x.py\", line %d%s%sKeyError: %d%s", at, i, end, end, i, end, strings.Repeat(end, rnd.IntN(2)), i, end)
		case 1:
			fmt.Fprintf(&b, "Error: plain %d%s    at f (x.js:%d)%s    at g (y.js:1)%s", i, end, i, end, end)
		case 2:
			fmt.Fprintf(&b, "{%s  \"level\": \"warn\",%s  \"n\": %d%s}%s", end, end, i, end, end)
		case 3:
			b.WriteString(strings.Repeat(end, 1+rnd.IntN(3)))
		case 4:
			fmt.Fprintf(&b, "\t\tindented %d%s", i, end)
		case 5:
			fmt.Fprintf(&b, "a line of text, %s%s", strings.Repeat("x", rnd.IntN(9000)), end)
		case 6:
			fmt.Fprintf(&b, "{\"level\":\"error\",\"message\":\"failed\",\"n\":%d}%s", i, end)
		default:
			fmt.Fprintf(&b, "%s - app - INFO - request %d status=%d%s", at, i, 200+i%400, end)
		}
	}
	if rnd.IntN(2) == 0 {
		b.WriteString("the end without a newline")
	}
	return b.Bytes()
}

func TestScanHasTheRecordsThatTheConsoleHas(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		data := someLog(rnd, 100+rnd.IntN(3*scanBlock))
		s := newStream(state.LogSource{}, 1<<30, func(s string) string { return s })
		s.add(append(bytes.Clone(data), '\n'), true, time.Now())
		s.settle()
		for _, piece := range []int{1 << 20, 1000 + rnd.IntN(5000)} {
			got, hits := scanned(t, bytesInput(data, piece), Query{Parse: true}, 1+rnd.IntN(3))
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
		data := someLog(rnd, 3*scanBlock)
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
	data := someLog(rand.New(rand.NewPCG(1, 1)), 10*scanBlock)
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
	data := append(someLog(rnd, 6*tailWindow), '\n')
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
			if f.Caught {
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
	next, stop := followed(t, FollowFile(path, false, false), Query{})
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
	if strings.HasPrefix(a, "note: ") { // it was looked at between the two
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

func TestReaderGivesOnWhatComesBeforeItsEnd(t *testing.T) {
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
func TestALiveInputThatIsNeverQuietIsGivenOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			for i := range 100 {
				fmt.Fprintf(w, "2026-11-22 05:00:00Z INFO line %d\n", i)
				time.Sleep(quietFor / 5)
			}
			w.Close()
		}()
		began := time.Now()
		n, late := 0, time.Duration(0)
		err := Scan(t.Context(), Reader("test", r), Query{}, 1, nil, func(f *Found) error {
			for range f.Hits {
				late = max(late, time.Since(began)-time.Duration(n)*quietFor/5)
				n++
			}
			return nil
		})
		if err != nil || n != 100 || late > 2*quietFor {
			t.Errorf("%d lines came, the latest after %s, %v", n, late, err)
		}
	})
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
	got, hits := scanned(t, Journal("api.service", time.Unix(1795324900, 0), time.Time{}, -1, false), Query{Parse: true}, 1)
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
	err = Scan(t.Context(), Journal("", time.Time{}, time.Time{}, -1, false), Query{}, 1, nil, func(*Found) error { return nil })
	if err == nil || err.Error() != "read the journal: journalctl: no journal" {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err = Scan(t.Context(), Journal("ngnix", time.Time{}, time.Time{}, -1, false), Query{}, 1, nil, func(*Found) error { return nil })
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
	got, hits := scanned(t, Container("api", "api", open, time.Time{}, -1, false), Query{Parse: true}, 1)
	if want := []string{"one", "two\n  more", "unfinished"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i, s := range []int{1, 2} {
		if want := time.Date(2026, 11, 22, 5, 22, s, 0, time.UTC).UnixNano(); hits[i].Nanos != want || hits[i].Guessed {
			t.Errorf("%s: got %+v", got[i], hits[i])
		}
	}
	err := Scan(t.Context(), Container("x", "x", open, time.Time{}, -1, false), Query{}, 1, nil, func(*Found) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// FuzzBorders holds the rules of where records begin: however a log is cut into
// blocks, its records are the same.
func FuzzBorders(f *testing.F) {
	f.Add([]byte("a\n b\nTraceback (most recent call last):\n  x\nE: 1\nc\n\n}\n"), uint8(3))
	f.Add([]byte("\n\n \r\n{\r\n  x\r\n}\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		var whole [][]byte
		for at := 0; at < len(data); {
			end := recordEnd(data, at, lineEnd(data, at))
			if start := recordStart(data, lineStart(data, end-1)); end > at && start != at {
				t.Fatalf("%q: the record at %d ends at %d, of which the beginning is %d", data, at, end, start)
			}
			whole = append(whole, data[at:end])
			at = end
		}
		if !bytes.Equal(bytes.Join(whole, nil), data) {
			t.Fatalf("%q: records do not cover it", data)
		}
		if n := lastHead(data); n > 0 && !head(data, n, lineEnd(data, n)) {
			t.Fatalf("%q: there is no record at %d", data, n)
		}
	})
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
		q    Query
	}{
		{"literal", Query{Text: record.Literal("ERROR")}},
		{"regexp", Query{Text: re}},
		{"level", Query{Least: state.LevelError}},
		{"times and levels", Query{Parse: true}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.SetBytes(st.Size())
			b.ReportAllocs()
			for b.Loop() {
				if err := Scan(b.Context(), File(path, 0), bc.q, 2, nil, func(*Found) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
