package logs

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func readAny(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return "missing"
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func rotate(s *Source, path string) error {
	_, err := s.Execute(context.Background(), state.Action{Kind: state.LogRotate, Target: path}, func(string, float64) {})
	return err
}

func TestRotateKeepsANumberCompressed(t *testing.T) {
	for _, mode := range []string{Rename, CopyTruncate} {
		t.Run(mode, func(t *testing.T) {
			p := filepath.Join(t.TempDir(), "a.log")
			s := New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: Rotation{Mode: mode, Keep: 3}}}})
			for i := range 6 {
				if err := os.WriteFile(p, fmt.Appendf(nil, "%d\n", i), 0o640); err != nil {
					t.Fatal(err)
				}
				if err := rotate(s, p); err != nil {
					t.Fatal(err)
				}
			}
			for name, want := range map[string]string{"": "", ".1": "5\n", ".2.gz": "4\n", ".3.gz": "3\n", ".4.gz": "missing", ".4": "missing", ".2": "missing"} {
				if got := readAny(t, p+name); got != want {
					t.Errorf("a.log%s: got %q, want %q", name, got, want)
				}
			}
			if ents, _ := os.ReadDir(filepath.Dir(p)); len(ents) != 4 {
				t.Errorf("left over: %v", ents)
			}
			if st, _ := os.Stat(p + ".3.gz"); st.Mode().Perm() != 0o640 {
				t.Errorf("mode %v", st.Mode())
			}
		})
	}
}

func TestRotateSignalsTheWriterAndIsUndoneWhenItFails(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "a.log")
	rule := Rotation{Reopen: []string{"sh", "-c", "echo new > a.log"}}
	s := New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: rule}}})
	for name, text := range map[string]string{"": "old\n", ".1": "older\n"} {
		if err := os.WriteFile(p+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := rotate(s, p); err != nil {
		t.Fatal(err)
	}
	if readAny(t, p) != "new\n" || readAny(t, p+".1") != "old\n" || readAny(t, p+".2.gz") != "older\n" {
		t.Errorf("after: %q %q %q", readAny(t, p), readAny(t, p+".1"), readAny(t, p+".2.gz"))
	}
	for what, rule := range map[string]Rotation{
		"a command that fails": {Reopen: []string{"sh", "-c", "echo why >&2; exit 1"}},
		"no pid file":          {PidFile: filepath.Join(dir, "none.pid")},
		"an unknown mode":      {Mode: "magic"},
	} {
		s = New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: rule}}})
		err := rotate(s, p)
		if err == nil || !strings.Contains(err.Error(), "was put back") && !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v", what, err)
		}
		if readAny(t, p) != "new\n" || readAny(t, p+".1") != "old\n" || readAny(t, p+".2.gz") != "older\n" {
			t.Errorf("%s: not put back: %q %q %q", what, readAny(t, p), readAny(t, p+".1"), readAny(t, p+".2.gz"))
		}
	}
}

// TestRotateSignalsTheProcessOfThePidFile rotates under a writer that reopens its
// log when it is told to.
func TestRotateSignalsTheProcessOfThePidFile(t *testing.T) {
	for _, signal := range []string{"HUP", "USR1"} {
		t.Run(signal, func(t *testing.T) {
			dir := t.TempDir()
			p, pidFile := filepath.Join(dir, "a.log"), filepath.Join(dir, "a.pid")
			daemon := exec.Command("sh", "-c", `exec >>a.log; trap 'exec >>a.log; echo reopened' `+signal+`; echo started; echo $$ >a.pid.tmp; mv a.pid.tmp a.pid; while :; do sleep 0.02; done`)
			daemon.Dir = dir
			if err := daemon.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
			sourcetest.Until(t, "the daemon runs", func() bool { return readAny(t, pidFile) != "missing" })
			s := New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: Rotation{Signal: signal, PidFile: pidFile}}}})
			if err := rotate(s, p); err != nil {
				t.Fatal(err)
			}
			sourcetest.Until(t, "it writes to the new file", func() bool { return readAny(t, p) == "reopened\n" })
			if got := readAny(t, p+".1"); got != "started\n" {
				t.Errorf("the old file holds %q", got)
			}
		})
	}
}

func TestRotateOnAFullDiskPutsEverythingBack(t *testing.T) {
	dir := sourcetest.SmallDisk(t)
	p := filepath.Join(dir, "a.log")
	text := strings.Repeat("0123456789abcde\n", 40<<10) // 640 KiB of 1 MiB
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p+".1", []byte("older\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := rotate(New(Config{Files: []string{p}}), p)
	if err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("full disk: %v", err)
	}
	if readAny(t, p) != text || readAny(t, p+".1") != "older\n" {
		t.Error("it was not put back")
	}
	if ents, _ := os.ReadDir(dir); len(ents) != 2 {
		t.Errorf("left over: %v", ents)
	}
}
