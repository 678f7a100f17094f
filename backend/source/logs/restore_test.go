package logs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func act(s *Source, a state.Action) (state.Outcome, error) {
	return s.Execute(context.Background(), a, func(string, float64) {})
}

// cleared clears a file and gives what undoes it.
func cleared(t *testing.T, s *Source, path string) state.Action {
	t.Helper()
	out, err := act(s, state.Action{Kind: state.LogClear, Target: path})
	if err != nil || out.Undo == nil {
		t.Fatalf("clear: %+v, %v", out, err)
	}
	return *out.Undo
}

// daemon is a real process that numbers its lines until the test ends, and reopens its log when it is
// told to (USR1). redirect is how it opens it: >> or >.
type daemon struct {
	t    *testing.T
	cmd  *exec.Cmd
	path string
}

func startDaemon(t *testing.T, path, redirect string) *daemon {
	t.Helper()
	cmd := exec.Command("sh", "-c", `open() { exec `+redirect+`"$0"; }; trap open USR1; open; echo $$ >"$0.pid"; i=0; while :; do echo "line $i"; i=$((i+1)); [ $((i % 20)) = 0 ] && { kill -0 $PPID || exit; : $(:); }; done`, path) // some 20,000 lines a second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &daemon{t, cmd, path}
	t.Cleanup(d.kill)
	return d
}

func (d *daemon) kill() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	}
}

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
	if s != syscall.SIGSTOP {
		return
	}
	d.until("it stands", func() bool {
		b, _ := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(d.cmd.Process.Pid)).Output()
		return strings.HasPrefix(string(b), "T")
	})
}

// grown waits until the log has as many bytes.
func (d *daemon) grown(n int64) {
	d.t.Helper()
	d.until("it writes", func() bool { st, err := os.Stat(d.path); return err == nil && st.Size() >= n })
}

func (d *daemon) until(what string, ok func() bool) {
	d.t.Helper()
	sourcetest.Until(d.t, what, ok)
}

// numbered checks that a file holds every line from 0 on once, in order, and counts
// them.
func numbered(t *testing.T, path string) (n int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasSuffix(line, "\n") {
			break // it was killed
		}
		if want := fmt.Sprintf("line %d\n", n); line != want {
			t.Fatalf("line %d of %s is %.80q, want %q", n, filepath.Base(path), line, want)
		}
		n++
	}
	return n
}

// TestAClearIsUndoneUnderLoad clears and puts back while a real daemon writes, and
// loses and doubles no line, neither in the file nor to those who follow it.
func TestAClearIsUndoneUnderLoad(t *testing.T) {
	for _, mode := range []string{"signal", "reopen", CopyTruncate} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			p := filepath.Join(dir, "a.log")
			rule := Rotation{Mode: Rename, Signal: "USR1", PidFile: p + ".pid"}
			if mode == "reopen" {
				rule = Rotation{Reopen: []string{"sh", "-c", "kill -USR1 $(cat a.log.pid)"}}
			} else if mode == CopyTruncate {
				rule = Rotation{Mode: CopyTruncate}
			}
			s := New(Config{Files: []string{p}, Root: dir, Rotations: []RotationRule{{Files: []string{p}, Rotation: rule}},
				Watching: Watching{Watches: []Watch{aWatch(t, "all", "a.log", "line")}}})
			r := sourcetest.Run(t, s)
			sourcetest.Wait(r, "the watch", func(l state.Logs) bool { return l.Watch("all") != nil })
			d := startDaemon(t, p, ">>")
			d.grown(60 << 10)
			sourcetest.Wait(r, "that it is followed", func(l state.Logs) bool { return l.Watch("all").Matches > 0 })
			if mode == CopyTruncate { // which loses what is written at that moment
				d.signal(syscall.SIGSTOP)
			}
			undo := cleared(t, s, p)
			if mode == CopyTruncate {
				d.signal(syscall.SIGCONT)
			}
			d.grown(40 << 10)
			out, err := act(s, undo)
			if err != nil {
				t.Fatal(err)
			}
			d.grown(200 << 10)
			d.kill()
			n := numbered(t, p)
			if ents, _ := filepath.Glob(filepath.Join(dir, "a.log.[0-9]*")); len(ents) != 0 {
				t.Errorf("left over: %v", ents)
			}
			truncations := 0
			if mode == CopyTruncate {
				truncations = 1 // by the clear
			}
			l := sourcetest.Wait(r, "all lines at the watch", func(l state.Logs) bool {
				return l.Watch("all").Matches >= uint64(n) && l.Source("a.log").Truncations >= truncations
			})
			if w, src := l.Watch("all"), l.Source("a.log"); w.Matches != uint64(n) || src.LostBytes != 0 || src.Truncations != truncations {
				t.Errorf("of %d lines the watch has %d; %+v", n, w.Matches, src)
			}
			t.Logf("%s; %d lines", out.Result, n)
		})
	}
}

func TestAClearCannotBeUndoneAfterTheNextRotation(t *testing.T) {
	for _, mode := range []string{Rename, CopyTruncate} {
		p := filepath.Join(t.TempDir(), "a.log")
		s := New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: Rotation{Mode: mode, Keep: 2}}}})
		appendTo(t, p, "one\n")
		undo := cleared(t, s, p)
		appendTo(t, p, "two\n")
		if err := rotate(s, p); err != nil {
			t.Fatal(err)
		}
		if _, err := act(s, undo); err == nil || !strings.Contains(err.Error(), "it was rotated again since") {
			t.Errorf("%s: got %v", mode, err)
		}
		if got := readAny(t, p) + readAny(t, p+".1") + readAny(t, p+".2.gz"); got != "two\none\n" {
			t.Errorf("%s: it was touched: %q", mode, got)
		}
		if err := os.Remove(p + ".1"); err != nil {
			t.Fatal(err)
		}
		if _, err := act(s, undo); err == nil || !strings.Contains(err.Error(), "gone or elsewhere") {
			t.Errorf("%s: got %v", mode, err)
		}
	}
}

// TestAnUndoneClearLeavesNoTrace has a full set of rotated files, of which a rotation
// would take the oldest away.
func TestAnUndoneClearLeavesNoTrace(t *testing.T) {
	for _, mode := range []string{Rename, CopyTruncate} {
		p := filepath.Join(t.TempDir(), "a.log")
		s := New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: Rotation{Mode: mode, Keep: 2, Plain: true}}}})
		for name, text := range map[string]string{"": "live", ".1": "one\n", ".2": "two\n"} { // a line is begun
			appendTo(t, p+name, text)
		}
		for _, since := range []string{"", " goes on\nand more\n"} {
			undo := cleared(t, s, p)
			if got := readAny(t, p+".3"); got != "two\n" {
				t.Errorf("%s: the oldest is gone: %q", mode, got)
			}
			appendTo(t, p, since)
			if _, err := act(s, undo); err != nil {
				t.Fatal(err)
			}
			if got, want := readAny(t, p)+readAny(t, p+".1")+readAny(t, p+".2"), "live"+since+"one\ntwo\n"; got != want {
				t.Errorf("%s: got %q, want %q", mode, got, want)
			}
			if ents, _ := os.ReadDir(filepath.Dir(p)); len(ents) != 3 {
				t.Errorf("%s: left over: %v", mode, ents)
			}
		}
		// What a clear kept beyond the number goes with the next rotation.
		cleared(t, s, p)
		if err := rotate(s, p); err != nil {
			t.Fatal(err)
		}
		if ents, _ := os.ReadDir(filepath.Dir(p)); len(ents) != 3 {
			t.Errorf("%s: more is kept than it should: %v", mode, ents)
		}
	}
}

func TestTheHoleOfAWriterThatKeepsItsPlaceIsFilled(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	s := New(Config{Files: []string{p}, Root: dir, Rotations: []RotationRule{{Files: []string{p}, Rotation: Rotation{Mode: CopyTruncate}}},
		Watching: Watching{Watches: []Watch{aWatch(t, "all", "a.log", "line")}}})
	r := sourcetest.Run(t, s)
	sourcetest.Wait(r, "the watch", func(l state.Logs) bool { return l.Watch("all") != nil })
	d := startDaemon(t, p, ">")
	d.grown(40 << 10)
	sourcetest.Wait(r, "that it is followed", func(l state.Logs) bool { return l.Watch("all").Matches > 0 })
	d.signal(syscall.SIGSTOP)
	undo := cleared(t, s, p)
	d.signal(syscall.SIGCONT)
	d.grown(80 << 10)
	if _, err := act(s, undo); err != nil {
		t.Fatal(err)
	}
	d.grown(150 << 10)
	d.kill()
	n := numbered(t, p)
	l := sourcetest.Wait(r, "all lines at the watch", func(l state.Logs) bool { return l.Watch("all").Matches >= uint64(n) })
	if w := l.Watch("all"); w.Matches != uint64(n) {
		t.Errorf("of %d lines the watch has %d", n, w.Matches)
	}
}
