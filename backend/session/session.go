package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Session is a connection to the workspace's engine: the one in this process where
// nobody else holds the workspace, else the one that does. When that one ends, the
// session takes the workspace over, so that a colleague who closes a terminal does not
// end anybody's session.
type Session struct {
	ws     *config.Workspace
	actor  state.Actor
	start  Starter
	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever at changes
	at       backend.Client
	leave    func() // gives up the present place
	err      error  // why there is no engine and will be none
	interest state.Interests
	base     uint64 // added to versions, so that they rise over engines
	last     uint64 // the highest version given out
	service  bool   // the engine that we are at is a service's
}

// Starter starts the engine in this process.
type Starter func() (*Daemon, remote.Owner, error)

// Connect begins to connect to the engine of a workspace, or to start it; it does not
// wait for that.
func Connect(ctx context.Context, ws *config.Workspace, actor state.Actor, start Starter) *Session {
	s := &Session{ws: ws, actor: actor, start: start, changed: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.wg.Go(func() { s.take(0) })
	return s
}

// servicePatience is how long a console waits for a service to be started again
// before it takes the workspace over: that would keep the service from starting.
const servicePatience = 20 * time.Second

// How often a session tries, every 100 ms, to find or to be an engine; and how much one
// attempt counts in which the engine was there and did not answer.
const (
	takeTries   = 100
	silentTries = 50
)

// take finds or starts an engine; it starts none before patience has passed.
func (s *Session) take(patience time.Duration) {
	var err error
	began := time.Now()
	for try := 0; s.ctx.Err() == nil; try++ {
		var d *Daemon
		var owner remote.Owner
		if time.Since(began) < patience {
			if owner, err = remote.ReadOwner(s.ws.Data); err == nil {
				err = remote.ErrHeld
			} else {
				err = fmt.Errorf("%w: its service is being started again", remote.ErrHeld)
			}
			try = 0
		} else {
			d, owner, err = s.start()
		}
		if err == nil {
			c := d.Hub().Attach(s.actor)
			s.place(c, func() { c.Close(); d.Stop() })
			return
		}
		if !errors.Is(err, remote.ErrHeld) {
			break
		}
		var c *remote.Client
		if owner.Socket != "" {
			if c, err = remote.Dial(s.ctx, owner.Socket, s.actor); err == nil {
				s.mu.Lock()
				s.service = owner.Serves
				s.mu.Unlock()
				s.place(c, c.Close)
				return
			}
			if errors.Is(err, remote.ErrSilent) {
				try += silentTries // that took long enough
			}
		}
		// It is starting, or ending: look again.
		if try > takeTries {
			err = Silent(s.ws.Data, owner, err)
			break
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; s.ctx.Err() != nil {
		s.err = s.ctx.Err()
	}
	s.wake()
}

// Silent returns an error that says what to do about an owner of the workspace that does
// not answer.
func Silent(data string, owner remote.Owner, err error) error {
	if owner.PID <= 0 { // it did not come to write its name
		lock := filepath.Join(data, "opsdeck.lock")
		return fmt.Errorf("a process that does not answer holds %s: find it with fuser %s, and end it", lock, lock)
	}
	return fmt.Errorf("process %d of %s holds the workspace but does not answer (%w): end it with kill %d", owner.PID, owner.User, err, owner.PID)
}

// Unanswered returns an error that says that no engine answered within limit.
func (s *Session) Unanswered(limit time.Duration) error {
	return fmt.Errorf("the engine of %s does not answer within %s: opsdeck doctor says which process runs it", s.ws.Dir, limit)
}

// place connects the session to an engine.
func (s *Session) place(at backend.Client, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		leave()
		return
	}
	s.at, s.leave, s.base = at, leave, s.last
	at.Watch(s.interest)
	s.wake()
}

func (s *Session) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// engine waits for an engine. base is what to add to its versions.
func (s *Session) engine(ctx context.Context) (at backend.Client, base uint64, err error) {
	for {
		s.mu.Lock()
		at, base, err := s.at, s.base, s.err
		changed := s.changed
		s.mu.Unlock()
		if at != nil || err != nil {
			return at, base, err
		}
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-changed:
		}
	}
}

// Actor returns who is at the session.
func (s *Session) Actor() state.Actor { return s.actor }

// Engine waits until there is an engine; the error says why there will be none.
func (s *Session) Engine(ctx context.Context) error {
	_, _, err := s.engine(ctx)
	return err
}

// Wait implements backend.Client.
func (s *Session) Wait(ctx context.Context, after uint64) (*state.Snapshot, error) {
	for {
		at, base, err := s.engine(ctx)
		if err != nil {
			return nil, err
		}
		snap, err := at.Wait(ctx, after-min(after, base))
		switch {
		case err == nil:
			return s.given(snap, base), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		s.lost(at)
	}
}

// given raises a snapshot's versions above those of the engines before.
func (s *Session) given(snap *state.Snapshot, base uint64) *state.Snapshot {
	snap = remote.AddVersions(snap, base)
	s.mu.Lock()
	s.last = max(s.last, snap.Version)
	s.mu.Unlock()
	return snap
}

// lost gives up an engine that is gone, and begins to take another.
func (s *Session) lost(at backend.Client) {
	s.mu.Lock()
	if s.at != at {
		s.mu.Unlock()
		return
	}
	leave, patience := s.leave, time.Duration(0)
	if s.service {
		patience = servicePatience
	}
	s.at, s.leave = nil, nil
	s.mu.Unlock()
	leave()
	s.wg.Go(func() { s.take(patience) })
}

// Submit implements backend.Client.
func (s *Session) Submit(ctx context.Context, a state.Action) (state.ActionID, error) {
	at, _, err := s.engine(ctx)
	if err != nil {
		return "", err
	}
	a.Actor = s.actor
	return at.Submit(ctx, a)
}

// Watch implements backend.Client.
func (s *Session) Watch(in state.Interests) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interest = in
	if s.at != nil {
		s.at.Watch(in)
	}
}

// Stop leaves, and stops the engine where it is this process's own.
func (s *Session) Stop() {
	s.cancel()
	s.wg.Wait()
	s.mu.Lock()
	leave := s.leave
	s.at, s.leave, s.err = nil, nil, context.Canceled
	s.wake()
	s.mu.Unlock()
	if leave != nil {
		leave()
	}
}
