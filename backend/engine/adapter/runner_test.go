package adapter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The adapter's output may end long before the fork server has been seen to its end.
func TestOutputThatEndsWithTheForkServerIsNoCrash(t *testing.T) {
	for _, leaving := range []bool{false, true} {
		k := &forkServer{leaving: make(chan struct{})}
		if leaving {
			close(k.leaving)
		}
		r := &Runner{process: &forked{k: k}, dead: make(chan struct{})}
		if err := r.Crashed(t.Context()); errors.Is(err, ErrForkServerGone) != leaving {
			t.Errorf("the fork server is ending: %v; got %v", leaving, err)
		}
	}
}

func TestEntryPointThatLeadsElsewhereIsRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "a.sh")
	if err := os.WriteFile(outside, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, target := range map[string]string{"out.sh": outside, "up.sh": "../x.sh", "inside.sh": "real.sh", "loop.sh": "loop.sh", "folder.sh": "."} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{filepath.Join(dir, "real.sh"), filepath.Join(filepath.Dir(dir), "x.sh")} {
		if err := os.WriteFile(name, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"real.sh": "", "inside.sh": "", "out.sh": "leads out of its folder", "up.sh": "leads out of its folder",
		"loop.sh": "cannot be read", "folder.sh": "leads out of its folder", "..": "leads out of its folder", "absent.sh": "cannot be read", "../x.sh": "leads out of its folder",
	} {
		_, err := EntryPoint(dir, name)
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}
