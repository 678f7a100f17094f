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
	dir := t.TempDir()
	ssh, path, down, pid := filepath.Join(dir, "ssh"), filepath.Join(dir, "app.log"), filepath.Join(dir, "down"), filepath.Join(dir, "pid")
	script := fmt.Sprintf("#!/bin/sh\nif [ -e %[1]s ]; then echo 'No route to host' >&2; exit 255; fi\nfor last; do :; done\necho $$ >%[2]s.new && mv %[2]s.new %[2]s\nexec sh -c \"$last\"\n", down, pid)
	if err := os.WriteFile(ssh, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	appendTo(t, down, "")
	appendTo(t, path, "ERROR before it began\nINFO fine\n")
	at := "ssh://ops@far" + path
	s := New(Config{Remote: []string{at}, SSH: ssh, Watching: Watching{Watches: []Watch{aWatch(t, "errors", "far:"+dir+"/*.log", "level>=error")}}})
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
	l := sourcetest.Wait(r, "the end of the file", func(l state.Logs) bool { return lastText(l, id) == "INFO fine" && l.Source(id).Err == "" })
	if x, w := l.Source(id), l.Watch("errors"); x.Title != "far:"+path || x.Kind != "remote" || w.Matches != 0 || w.Sources != 1 {
		t.Errorf("got %+v, %+v", x, w)
	}
	if why := state.Why(&state.Snapshot{Logs: l}, state.LogRotate, l.Source(id).Title); !strings.Contains(why, "rotate it there") {
		t.Errorf("it can be rotated: %q", why)
	}
	appendTo(t, path, "ERROR one\n")
	sourcetest.Wait(r, "what is new is counted", func(l state.Logs) bool { return l.Watch("errors").Matches == 1 })

	appendTo(t, down, "")
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	tail, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(tail, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	sourcetest.Wait(r, "the link is down", fails)
	appendTo(t, path, "ERROR two\nINFO last\n")
	if err := os.Remove(down); err != nil {
		t.Fatal(err)
	}
	l = sourcetest.Wait(r, "it goes on", func(l state.Logs) bool { return lastText(l, id) == "INFO last" && l.Source(id).Err == "" })
	var all []string
	for _, rec := range l.Tails[id].Records {
		all = append(all, rec.Text)
	}
	if got := strings.Join(all, "|"); got != "ERROR before it began|INFO fine|ERROR one|ERROR two|INFO last" {
		t.Errorf("got %s", got)
	}
	sourcetest.Wait(r, "what came meanwhile is counted", func(l state.Logs) bool { return l.Watch("errors").Matches == 2 })
}
