package main

import (
	"net/http"
	"testing"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/profile"
)

// TestTheAPIServesNoProfiles asks as the engine's own user, who may have them over the
// socket.
func TestTheAPIServesNoProfiles(t *testing.T) {
	dir := t.TempDir()
	makeWorkspace(t, dir, "", nil)
	ws, err := config.Load(config.Flags{Workspace: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := startDaemon(ws, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	for _, path := range []string{profile.Prefix + "heap", "/debug/pprof/", "/debug/pprof/heap"} {
		resp, err := http.Get("http://" + apiOf(d) + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want 404", path, resp.Status)
		}
	}
}
