package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// A file on another host is a source as one of this host is: followed, watched, and gone
// on with over links that break.
func TestAFileOnAnotherHostIsFollowedAndWatched(t *testing.T) {
	t.Parallel() // it waits for a script that looks every 2 s
	dir := t.TempDir()
	ssh, path, down, pid := filepath.Join(dir, "ssh"), filepath.Join(dir, "app.log"), filepath.Join(dir, "down"), filepath.Join(dir, "pid")
	script := fmt.Sprintf("#!/bin/sh\nif [ -e %[1]s ]; then echo 'No route to host' >&2; exit 255; fi\nfor last; do :; done\necho $$ >%[2]s.new && mv %[2]s.new %[2]s\nexec sh -c \"$last\"\n", down, pid)
	if err := os.WriteFile(ssh, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	appendTo(t, down, "")
	appendTo(t, path, "ERROR before it began\nINFO fine\n")
	at := "ssh://ops@far" + path
	s := New(Config{Remote: []string{at}, SSH: ssh, Watching: Watching{Watches: []Watch{aWatch(t, "errors", "ops@far:"+dir+"/*.log", "level>=error")}}})
	r := sourcetest.Run(t, s)
	id := "remote:" + at
	fails := func(l state.Logs) bool {
		x := l.Source(id)
		return x != nil && strings.Contains(x.Err, "No route to host") && strings.Contains(x.Err, "it is tried again")
	}
	sourcetest.Wait(r, "a host that is not there at first", fails)
	if err := os.Remove(down); err != nil {
		t.Fatal(err)
	}
	l := sourcetest.Wait(r, "the end of the file", func(l state.Logs) bool {
		return lastText(l, id) == "INFO fine" && l.Source(id).Err == "" && l.Watch("errors").Sources == 1
	})
	if x, w := l.Source(id), l.Watch("errors"); x.Title != "ops@far:"+path || x.Kind != "remote" || w.Matches != 0 {
		t.Errorf("got %+v, %+v", x, w)
	}
	if why := state.Why(&state.Snapshot{Logs: l}, state.LogRotate, l.Source(id).Title); !strings.Contains(why, "rotate it there") {
		t.Errorf("it can be rotated: %q", why)
	}
	appendTo(t, path, "ERROR one\n")
	sourcetest.Wait(r, "what is new is counted", func(l state.Logs) bool { return l.Watch("errors").Matches == 1 })

	cut := func() {
		t.Helper()
		sourcetest.Until(t, "it is connected, and is no more", func() bool { // it may be just about to connect
			text, err := os.ReadFile(pid)
			if err != nil {
				t.Fatal(err)
			}
			shell, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return syscall.Kill(shell, syscall.SIGTERM) == nil
		})
		appendTo(t, down, "")
		sourcetest.Wait(r, "the link is down", fails)
	}
	mend := func() {
		t.Helper()
		if err := os.Remove(down); err != nil {
			t.Fatal(err)
		}
	}
	cut()
	appendTo(t, path, "ERROR two\nINFO last\n")
	mend()
	sourcetest.Wait(r, "it goes on", func(l state.Logs) bool { return lastText(l, id) == "INFO last" && l.Source(id).Err == "" })
	sourcetest.Wait(r, "what came meanwhile is counted", func(l state.Logs) bool { return l.Watch("errors").Matches == 2 })

	// Rotated while it is followed, and the link lost after that; cut off; rotated while the
	// link is down, with a line that was not finished.
	rotate := func(n string) {
		t.Helper()
		if err := os.Rename(path, path+n); err != nil {
			t.Fatal(err)
		}
	}
	rotate(".1")
	appendTo(t, path+".1", "INFO to the old one\n")
	sourcetest.Wait(r, "what is written to the old one", func(l state.Logs) bool { return lastText(l, id) == "INFO to the old one" })
	appendTo(t, path, "ERROR three\n")
	sourcetest.Wait(r, "the new file", func(l state.Logs) bool { return l.Watch("errors").Matches == 3 && l.Source(id).Rotations == 1 })
	cut()
	appendTo(t, path, "ERROR four\n")
	mend()
	sourcetest.Wait(r, "the new file after the link was lost", func(l state.Logs) bool { return l.Watch("errors").Matches == 4 })
	long := strings.Repeat("x", endBytes)
	appendTo(t, path, "INFO "+long+"\n")
	sourcetest.Wait(r, "a line", func(l state.Logs) bool { return lastText(l, id) == "INFO "+long })
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, "ERROR five\n")
	sourcetest.Wait(r, "a file that was cut off", func(l state.Logs) bool { return l.Watch("errors").Matches == 5 && l.Source(id).Truncations == 1 })
	appendTo(t, path, "INFO fine again\nINFO not fin")
	sourcetest.Wait(r, "what follows", func(l state.Logs) bool { return lastText(l, id) == "INFO fine again" && l.Source(id).Err == "" })
	cut()
	appendTo(t, path, "ished\nINFO fine to the end")
	rotate(".2")
	appendTo(t, path, strings.Repeat("INFO another file\n", 20)+"ERROR six\n")
	mend()
	l = sourcetest.Wait(r, "another file", func(l state.Logs) bool {
		return l.Watch("errors").Matches == 6 && l.Source(id).Rotations == 2 && lastText(l, id) == "ERROR six"
	})
	got := map[string]int{}
	for _, rec := range l.Tails[id].Records {
		if rec.Level == state.LevelError || strings.Contains(rec.Text, "fin") {
			got[rec.Text]++
		}
	}
	if len(got) != 11 || got["INFO fine"]*got["INFO fine again"]*got["INFO not finished"]*got["INFO fine to the end"] != 1 || got["ERROR one"]*got["ERROR two"]*got["ERROR three"]*got["ERROR four"]*got["ERROR five"]*got["ERROR six"] != 1 {
		t.Errorf("got %v", got)
	}
}

// What was there when a file on another host was opened is told from what is new by its
// place, however slowly it comes and however fast more does.
func TestTheEndOfAFileOnAnotherHostIsNotNew(t *testing.T) {
	dir := t.TempDir()
	ssh := filepath.Join(dir, "ssh")
	script := "#!/bin/sh\nprintf '7 0 20 0\\nERROR old\\n'; sleep 0.3; printf 'ERROR old\\n'; while :; do echo ERROR new; sleep 0.02; done\n"
	if err := os.WriteFile(ssh, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Remote: []string{"ssh://far/x", "ssh://far:2022/x"}, SSH: ssh, Watching: Watching{Watches: []Watch{aWatch(t, "old", "far:/x", "old"), aWatch(t, "new", "far:/x", "new")}}})
	r := sourcetest.Run(t, s)
	l := sourcetest.Wait(r, "what is new is counted", func(l state.Logs) bool { return l.Watch("new").Matches > 50 && l.Watch("old").Sources == 1 })
	if w := l.Watch("old"); w.Matches != 0 {
		t.Errorf("got %+v", w)
	}
	if a, b := l.Sources[0].Title, l.Sources[1].Title; a != "far:/x" || b != "far:2022:/x" {
		t.Errorf("got %q, %q", a, b)
	}
}
