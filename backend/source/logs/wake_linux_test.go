package logs

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

// watches returns how many inotify watches this process has.
func watches(t *testing.T) (n int) {
	t.Helper()
	infos, err := filepath.Glob("/proc/self/fdinfo/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		b, _ := os.ReadFile(info) // it may have been closed
		n += strings.Count(string(b), "inotify wd:")
	}
	return n
}

func TestWatchesEndWithTheirFollower(t *testing.T) {
	startTracker(t)
	before := watches(t)
	path := filepath.Join(watchedDir(t), "a.log")
	sourcetest.Append(t, path, "one\n")
	for range 10 {
		w := watching(t, path)
		if got := watches(t); got != before+1 {
			t.Fatalf("while it is watched: got %d watches, want %d", got, before+1)
		}
		w.close()
		if got := watches(t); got != before {
			t.Fatalf("got %d watches after the end, want %d", got, before)
		}
	}
	w := watching(t, path)
	w.forget(path)
	w.close()
	if got := watches(t); got != before {
		t.Errorf("got %d watches after it was forgotten, want %d", got, before)
	}
}

// No event of a file reports that the folder above it is another now: the slow poll finds it.
func TestAFolderThatIsReplacedIsNoticed(t *testing.T) {
	startTracker(t)
	before := watches(t)
	dir := filepath.Join(watchedDir(t), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.log")
	sourcetest.Append(t, path, "2026 one\n")
	next, stop := followed(t, FollowFile(path, false, false), scan.Query{})
	for got := next(); got != "caught"; got = next() {
	}
	for watches(t) == before {
		runtime.Gosched()
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sourcetest.Append(t, path, "2026 two\n")
	got := next()
	for strings.HasPrefix(got, "note: ") { // it was polled between the two
		got = next()
	}
	if got != "2026 two" {
		t.Errorf("got %q", got)
	}
	_ = stop()
	if got := watches(t); got != before {
		t.Errorf("got %d watches after the end, want %d", got, before)
	}
}

// TestFilesAreFollowedWithoutInotify follows a file in a process whose user may have only
// so many inotify instances: with the last one taken, the library would end the process.
func TestFilesAreFollowedWithoutInotify(t *testing.T) {
	const limit = "OPSDECK_TEST_INOTIFY"
	if n := os.Getenv(limit); n != "" {
		if err := os.WriteFile("/proc/sys/user/max_inotify_instances", []byte(n), 0o644); err != nil {
			t.Fatal(err)
		}
		if canWatch() {
			t.Errorf("with %s instances: it is said that files can be watched", n)
		}
		path := filepath.Join(t.TempDir(), "a.log")
		sourcetest.Append(t, path, "one\n")
		next, stop := followed(t, FollowFile(path, false, false), scan.Query{})
		for got := next(); got != "caught"; got = next() {
		}
		sourcetest.Append(t, path, "2026 two\n")
		if got := next(); got != "2026 two" {
			t.Errorf("got %q", got)
		}
		_ = stop()
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"0", "1"} {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFilesAreFollowedWithoutInotify$")
		cmd.Env = append(os.Environ(), limit+"="+n)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		if cmd.Process == nil { // a right that a sandbox withholds, and no program that could be installed
			t.Skipf("skipped: no user namespace can be made here: %v", err)
		}
		if err != nil {
			t.Errorf("with %s instances: %v\n%s", n, err, out)
		}
	}
}
