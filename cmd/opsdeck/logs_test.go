package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// following runs opsdeck logs -f and gives its lines.
type following struct {
	t      *testing.T
	lines  chan string
	errs   chan string
	cancel context.CancelFunc
	done   chan error
}

func followLogs(t *testing.T, args ...string) *following {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &following{t: t, lines: make(chan string, 10000), errs: make(chan string, 1000), cancel: cancel, done: make(chan error, 1)}
	out, w := io.Pipe()
	errOut, ew := io.Pipe()
	read := func(r io.Reader, to chan string) {
		sc := bufio.NewScanner(r)
		for sc.Scan() {
			to <- sc.Text()
		}
		close(to)
	}
	go read(out, f.lines)
	go read(errOut, f.errs)
	root := newRoot()
	root.SetArgs(append([]string{"logs", "-f", "--workspace", t.TempDir()}, args...))
	root.SetOut(w)
	root.SetErr(ew)
	go func() {
		err := root.ExecuteContext(ctx)
		w.Close()
		ew.Close()
		f.done <- err
	}()
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *following) stop() {
	f.cancel()
	if err := <-f.done; err != nil {
		f.t.Errorf("it ended with %v", err)
	}
	f.done <- nil
}

// want waits for these lines in this order.
func (f *following) want(lines ...string) {
	f.t.Helper()
	for _, w := range lines {
		if got, ok := <-f.lines; got != w {
			f.t.Fatalf("got %q (%v), want %q", got, ok, w)
		}
	}
}

// told waits for a line of standard error with these words.
func (f *following) told(words string) {
	f.t.Helper()
	for l := range f.errs {
		if strings.Contains(l, words) {
			return
		}
	}
	f.t.Fatalf("nothing was told of %q", words)
}

func addTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
}

func TestLogsFollowedMergeWhatIsThereAndShowWhatComes(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	for i := range 15 {
		addTo(t, a, fmt.Sprintf("2026-11-22 05:22:%02dZ INFO a%d\n", 2*i, i))
		addTo(t, b, fmt.Sprintf("2026-11-22 05:22:%02dZ INFO b%d\n", 2*i+1, i))
	}
	f := followLogs(t, filepath.Join(dir, "*.log"))
	for i := 5; i < 15; i++ {
		f.want(fmt.Sprintf("a.log: 2026-11-22 05:22:%02dZ INFO a%d", 2*i, i), fmt.Sprintf("b.log: 2026-11-22 05:22:%02dZ INFO b%d", 2*i+1, i))
	}
	addTo(t, a, "2026-11-22 05:23:00Z ERROR new\n  with more\n")
	f.want("a.log: 2026-11-22 05:23:00Z ERROR new", "  with more")
	// A file that appears is shown from its beginning.
	addTo(t, filepath.Join(dir, "c.log"), "first\nsecond\n")
	f.want("c.log: first", "c.log: second")
	if err := os.Rename(a, a+".1"); err != nil {
		t.Fatal(err)
	}
	addTo(t, a, "after the rename\n")
	f.want("a.log: after the rename")
	if err := os.Truncate(b, 0); err != nil {
		t.Fatal(err)
	}
	f.told("b.log was truncated (1 times so far)")
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	f.told("b.log: the file is gone; it is followed again when it comes back")
	addTo(t, b, "back\n")
	f.want("b.log: back")
}

func TestLogsFollowedAreSieved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	addTo(t, path, "INFO one\nERROR two\n")
	f := followLogs(t, "--level", "warn", "--where", "not dull", path)
	f.want("ERROR two")
	addTo(t, path, "INFO three\nERROR dull\nERROR four\n")
	f.want("ERROR four")
}

func TestLogsOverSSHGoOnAfterTheLinkWasCut(t *testing.T) {
	s := newSSHD(t)
	s.trust()
	path := filepath.Join(t.TempDir(), "a 'quoted.log")
	for i := range 20 {
		addTo(t, path, fmt.Sprintf("line %d\n", i))
	}
	url := "ssh://far" + strings.ReplaceAll(strings.ReplaceAll(path, " ", "%20"), "'", "%27")
	var out, errOut strings.Builder
	if code := run([]string{"logs", "--workspace", t.TempDir(), "--count", url}, strings.NewReader(""), &out, &errOut); code != 0 || out.String() != "20\n" {
		t.Fatalf("got %d, %s %s", code, out.String(), errOut.String())
	}
	errOut.Reset()
	if code := run([]string{"logs", "--workspace", t.TempDir(), url + "x"}, strings.NewReader(""), &out, &errOut); code != exitFailed || !strings.Contains(errOut.String(), "quoted.logx") {
		t.Errorf("a file that is not there: got %d, %s", code, errOut.String())
	}
	f := followLogs(t, url)
	for i := 10; i < 20; i++ {
		f.want(fmt.Sprintf("line %d", i))
	}
	addTo(t, path, "before\n")
	f.want("before")
	s.stop()
	f.told("it is tried again")
	addTo(t, path, "meanwhile\n")
	s.start()
	f.want("meanwhile")
	addTo(t, path, "after\n")
	f.want("after")
}

func TestLogsSayWhyTheOutputCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	addTo(t, path, strings.Repeat("a line\n", 100_000))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this system has no /dev/full: %v", err)
	}
	defer full.Close()
	for _, args := range [][]string{{path}, {path, path}, {"-n", "10", path}, {"--patterns", path}, {"--top", "level", path}, {"--count", path}} {
		var errOut strings.Builder
		code := run(append([]string{"logs", "--workspace", t.TempDir()}, args...), strings.NewReader(""), full, &errOut)
		if args[0] == "--top" { // it has nothing to print
			continue
		}
		if code != exitFailed || strings.Count(errOut.String(), "no space left on device") != 1 || !strings.Contains(errOut.String(), "free some space there") {
			t.Errorf("%v: got %d, %s", args, code, errOut.String())
		}
	}
	for _, args := range [][]string{{path}, {path, path}, {"-f", "-n", "100000", path}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var errOut strings.Builder
		if code := run(append([]string{"logs", "--workspace", t.TempDir()}, args...), strings.NewReader(""), w, &errOut); code != 0 || errOut.Len() > 0 {
			t.Errorf("%v, whose reader has gone: got %d, %s", args, code, errOut.String())
		}
		w.Close()
	}
}

func TestLogsShowControlSequencesUnlessAskedNotTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	addTo(t, path, "a\x1b[2Jb\xff\r\n  c\r\n")
	for raw, want := range map[string]string{"--raw=false": "a^[[2Jb\\xFF\n  c\n", "--raw=true": "a\x1b[2Jb\xff\r\n  c\n"} {
		var out, errOut strings.Builder
		if code := run([]string{"logs", "--workspace", t.TempDir(), raw, path}, strings.NewReader(""), &out, &errOut); code != 0 || out.String() != want {
			t.Errorf("%s: got %d, %q %s", raw, code, out.String(), errOut.String())
		}
	}
}

func TestPatternsAreCountedAsTheyCome(t *testing.T) {
	in, w := io.Pipe()
	go func() {
		for i := range 10 {
			fmt.Fprintf(w, "2026-11-22 05:22:00Z INFO request %d handled\n", i)
		}
		fmt.Fprint(w, "2026-11-22 05:22:02Z ERROR upstream lost\n")
		w.Close()
	}()
	var out, errOut strings.Builder
	code := run([]string{"logs", "--workspace", t.TempDir(), "-f", "--patterns", "-"}, in, &out, &errOut)
	lines := strings.Split(out.String(), "\n")
	if code != 0 || errOut.Len() > 0 || len(lines) != 4 || !strings.HasPrefix(lines[0], "COUNT") || strings.Contains(out.String(), "\x1b") ||
		!strings.HasPrefix(lines[1], "10 ") || !strings.Contains(lines[1], "request <num> handled") || !strings.HasPrefix(lines[2], "1 ") {
		t.Errorf("got %d, %q, %s", code, lines, errOut.String())
	}
	for _, flag := range []string{"--count", "--top=level"} {
		if code := run([]string{"logs", "--workspace", t.TempDir(), "-f", flag, "-"}, strings.NewReader(""), &out, &errOut); code != exitUsage {
			t.Errorf("-f %s: got %d", flag, code)
		}
	}
}
