package main

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/state"
)

// startDaemon takes the workspace and starts its engine in this process.
func startDaemon(ws *config.Workspace, serves bool) (*session.Daemon, remote.Owner, error) {
	return session.Start(session.Config{
		Workspace: ws, Serves: serves, Version: version(), User: userName(),
		OpenLog: func() (*slog.Logger, io.Closer) {
			f, log := openLog(ws.Data)
			libraryLog(log)
			return log, f
		},
		Wire: func(j *journal.Journal, log *slog.Logger) (*session.Parts, error) {
			w, err := wire(ws, j, log)
			if err != nil {
				return nil, err
			}
			return w.parts(), nil
		},
	})
}

// dial connects to the workspace's engine, or starts it.
func dial(ctx context.Context, ws *config.Workspace, actor state.Actor) *session.Session {
	return session.Connect(ctx, ws, actor, func() (*session.Daemon, remote.Owner, error) { return startDaemon(ws, false) })
}

// parts returns the wiring as a daemon has it.
func (w *wiring) parts() *session.Parts {
	p := &session.Parts{
		Hub: w.hub, Authenticator: w.auth,
		Background: []func(context.Context){
			func(ctx context.Context) { w.store.Run(ctx, time.Duration(w.ws.Metrics.Interval)) },
			w.relay.Run,
		},
		OpenStore: func() (string, error) {
			return w.store.Open(filepath.Join(w.ws.Data, "metrics"), time.Duration(w.ws.Metrics.Retention))
		},
		CloseStore: w.store.Close,
		Guarded: func() (bool, error) {
			given, err := w.tokens.List()
			return w.token != "" || len(given) > 0, err
		},
	}
	if w.api != nil {
		p.API, p.Ready = w.api, w.engine.Await
	}
	return p
}
