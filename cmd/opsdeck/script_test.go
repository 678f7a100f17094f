package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

// TestScript runs testdata/script: the real main, without Docker, Redis or Python,
// and with an empty home.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			for k, v := range map[string]string{"HOME": home, "TZ": "UTC", "LANG": "C.UTF-8", "TERM": "xterm-256color",
				"DOCKER_HOST": "unix:///nonexistent/docker.sock", "REDIS_URL": "unix:///nonexistent/redis.sock", "KEY": testKey} {
				env.Setenv(k, v)
			}
			return os.Mkdir(home, 0o755)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "until": untilStdout, "serving": serving, "nowhere": nowhereIn, "frame": frame, "replace": replace, "module": module,
		},
	})
}

// exits N PROGRAM ARGS... runs a program that must end with exit code N.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ee *exec.ExitError
		if !errors.As(err, &ee) {
			ts.Fatalf("%s: %v", args[1], err)
		}
		code = ee.ExitCode()
	}
	if code != want {
		ts.Fatalf("%s ends with %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

// until PATTERN PROGRAM ARGS... runs a program again and again until its output
// matches.
func untilStdout(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: until PATTERN PROGRAM ARGS...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(sourcetest.Patience); ; {
		_ = ts.Exec(args[1], args[2:]...)
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("its output never matches %s", args[0])
		}
	}
}

// serving DIR waits until an engine serves the workspace DIR.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 || neg {
		ts.Fatalf("usage: serving DIR")
	}
	data := filepath.Join(ts.MkAbs(args[0]), "data")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(sourcetest.Patience); ; {
		// The socket of one that was killed may answer for as long as a child that it was
		// starting has it open.
		if owner, err := remote.ReadOwner(data); err == nil && owner.Alive() && syscall.Kill(owner.PID, 0) == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("no engine serves %s", args[0])
		}
	}
}

// nowhere TEXT DIR... wants TEXT in no file of DIRs, modules aside, nor in the
// output of the command before.
func nowhereIn(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: nowhere TEXT DIR...")
	}
	for _, name := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(name), args[0]) {
			ts.Fatalf("%q is in %s", args[0], name)
		}
	}
	for _, dir := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if strings.Contains(string(b), args[0]) {
				ts.Fatalf("%q is in %s", args[0], path)
			}
			return err
		}))
	}
}

// frame W H wants the output before to be a frame of that size, without control
// sequences.
func frame(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: frame WIDTH HEIGHT")
	}
	w, err := strconv.Atoi(args[0])
	ts.Check(err)
	h, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := ts.ReadFile("stdout")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != h {
		ts.Fatalf("the frame has %d lines, want %d", len(lines), h)
	}
	for i, l := range lines {
		if n := ansi.StringWidth(l); n > w {
			ts.Fatalf("line %d is %d columns wide, want at most %d: %s", i+1, n, w, l)
		}
	}
	if strings.ContainsAny(text, "\x1b\r\x00") {
		ts.Fatalf("there are control characters in the frame")
	}
}

// replace OLD NEW FILE replaces all of OLD, which must be there.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 || neg {
		ts.Fatalf("usage: replace OLD NEW FILE")
	}
	text := ts.ReadFile(args[2])
	if !strings.Contains(text, args[0]) {
		ts.Fatalf("there is no %q in %s", args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.ReplaceAll(text, args[0], args[1])), 0o644))
}

// module DIR ID [keyed] makes a module that is a program in sh.
func module(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: module DIR CATEGORY/PLATFORM [keyed]")
	}
	keyed := len(args) > 2 && args[2] == "keyed"
	dir := filepath.Join(ts.MkAbs(args[0]), "modules", filepath.FromSlash(args[1]))
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(shellManifest(args[1], keyed)), 0o644))
	ts.Check(os.WriteFile(filepath.Join(dir, "adapter.sh"), []byte(shellAdapter(keyed)), 0o755))
}
