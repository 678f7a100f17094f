package session

import (
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
)

// TestAHungHubIsNotAlive stops the hub of a daemon while its socket still takes
// connections.
func TestAHungHubIsNotAlive(t *testing.T) {
	ws, err := config.Load(config.Flags{Workspace: t.TempDir(), Listen: "off"})
	if err != nil {
		t.Fatal(err)
	}
	ws.Data = t.TempDir()
	discard := slog.New(slog.DiscardHandler)
	d, _, err := Start(Config{
		Workspace: ws, Version: "test", User: "ada",
		OpenLog: func() (*slog.Logger, io.Closer) { return discard, io.NopCloser(nil) },
		Wire: func(j *journal.Journal, log *slog.Logger) (*Parts, error) {
			hub := backend.New(backend.Options{Journal: j, Log: log})
			tokens := admin.NewTokens(ws.Data+"/tokens.json", log)
			return &Parts{
				Hub: hub, Authenticator: admin.NewAuthenticator(admin.AuthConfig{Tokens: tokens, Latest: hub.Latest, Log: log}),
				OpenStore: func() (string, error) { return "", nil }, CloseStore: func() error { return nil },
				Guarded: func() (bool, error) { return false, nil },
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop()
	if err := d.Alive(t.Context(), sourcetest.Patience); err != nil {
		t.Errorf("a daemon that runs: %v", err)
	}
	d.cancel()
	// Its publisher ends in a moment; from then on nothing is published.
	sourcetest.Until(t, "a hub that does not publish does not count as alive", func() bool { return d.Alive(t.Context(), 100*time.Millisecond) != nil })
}
