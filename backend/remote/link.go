package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/backend/supervisor"
)

// Link is the client of an engine on another host. It outlasts its connection:
// when that is lost it reports so, with the reason and since when, and connects again.
type Link struct {
	where  string
	dial   func(context.Context) (*Client, error)
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever at does
	at       *Client       // nil while there is no connection
	interest state.Interests
	base     uint64 // added to versions, so that they rise over connections
	last     uint64 // the highest version given out
	// since is when the connection was lost, why is the last reason, next when it is
	// tried again.
	since, next time.Time
	why         error
}

// linkDial bounds one attempt to connect.
const linkDial = 30 * time.Second

// ErrDown means that there is no connection to the engine now.
var ErrDown = errors.New("no link")

// NewLink connects by dial, whose error it returns, and keeps connected from then
// on. where names the other end in errors. The caller has to Close it.
func NewLink(ctx context.Context, where string, dial func(context.Context) (*Client, error)) (*Link, error) {
	c, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	l := &Link{where: where, dial: dial, at: c, changed: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	l.wg.Go(func() { l.keep(c) })
	return l, nil
}

// keep connects again whenever a connection ends.
func (l *Link) keep(c *Client) {
	defer func() { c.Close() }()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-c.ended:
		}
		l.disconnected(c.reason())
		c.Close()
		next := l.reconnect()
		if next == nil {
			return
		}
		c = next
	}
}

// reconnect retries until there is a connection, and returns it; nil when the link is closed.
func (l *Link) reconnect() *Client {
	for wait := (supervisor.Backoff{}); ; {
		pause := wait.Next()
		l.mu.Lock()
		l.next = time.Now().Add(pause)
		l.mu.Unlock()
		select {
		case <-l.ctx.Done():
			return nil
		case <-time.After(pause):
		}
		ctx, cancel := context.WithTimeout(l.ctx, linkDial)
		c, err := l.dial(ctx)
		cancel()
		if err == nil {
			l.connected(c)
			return c
		}
		l.mu.Lock()
		l.why = err
		l.mu.Unlock()
	}
}

func (l *Link) disconnected(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.since, l.why = nil, time.Now(), why
	l.wake()
}

func (l *Link) connected(c *Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at, l.base = c, l.last
	c.Watch(l.interest)
	l.wake()
}

func (l *Link) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// down returns the error that there is no connection. The caller holds l.mu.
func (l *Link) down() error {
	now := time.Now()
	soon := "now"
	if left := l.next.Sub(now).Round(time.Second); left > 0 {
		soon = "in " + left.String()
	}
	return fmt.Errorf("%w to %s for %s, trying again %s: %w", ErrDown, l.where, now.Sub(l.since).Round(time.Second), soon, l.why)
}

// Wait implements [backend.Client]. While there is no connection it returns an error,
// and the next call tries again: it does not block for a connection.
func (l *Link) Wait(ctx context.Context, after uint64) (*state.Snapshot, error) {
	for {
		l.mu.Lock()
		at, base, changed := l.at, l.base, l.changed
		if at == nil {
			defer l.mu.Unlock()
			return nil, l.down()
		}
		l.mu.Unlock()
		snap, err := at.Wait(ctx, after-min(after, base))
		if err == nil {
			snap = AddVersions(snap, base)
			l.mu.Lock()
			l.last = max(l.last, snap.Version)
			l.mu.Unlock()
			return snap, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-l.ctx.Done():
			return nil, l.ctx.Err()
		case <-changed:
		}
	}
}

// Submit implements [backend.Client]. Without a connection nothing is sent, now or later.
func (l *Link) Submit(ctx context.Context, a state.Action) (state.ActionID, error) {
	l.mu.Lock()
	at := l.at
	if at == nil {
		defer l.mu.Unlock()
		return "", fmt.Errorf("nothing was sent: %w", l.down())
	}
	l.mu.Unlock()
	return at.Submit(ctx, a)
}

// Watch implements [backend.Client].
func (l *Link) Watch(in state.Interests) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interest = in
	if l.at != nil {
		l.at.Watch(in)
	}
}

// Close ends the link and its connection.
func (l *Link) Close() {
	l.cancel()
	l.wg.Wait()
}

// AddVersions returns s with base added to its versions, so that they rise over engines and
// connections, each of which counts from 1.
func AddVersions(s *state.Snapshot, base uint64) *state.Snapshot {
	if base == 0 {
		return s
	}
	raised := *s
	raised.Version += base
	raised.Versions = make(map[state.SectionName]uint64, len(s.Versions))
	for k, v := range s.Versions {
		raised.Versions[k] = v + base
	}
	return &raised
}
