package fake

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Backend is a scripted backend: it shows what it is given and remembers what it
// was asked.
type Backend struct {
	mu      sync.Mutex
	snap    *state.Snapshot
	changed chan struct{}
	acts    []state.Action
	watched []state.Interests
	refuse  error
}

// NewBackend makes a backend that shows s, which may be nil for nothing yet.
func NewBackend(s *state.Snapshot) *Backend {
	return &Backend{snap: s, changed: make(chan struct{})}
}

// Show puts a snapshot in place of the one that is shown. Its version must be
// higher.
func (b *Backend) Show(s *state.Snapshot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.snap = s
	close(b.changed)
	b.changed = make(chan struct{})
}

// Refuse makes Submit answer with err from now on; nil accepts again.
func (b *Backend) Refuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
}

// Wait returns the snapshot once its version is beyond after.
func (b *Backend) Wait(ctx context.Context, after uint64) (*state.Snapshot, error) {
	for {
		b.mu.Lock()
		s, ch := b.snap, b.changed
		b.mu.Unlock()
		if s != nil && s.Version > after {
			return s, nil
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Submit remembers the action; it is never carried out.
func (b *Backend) Submit(_ context.Context, a state.Action) (state.ActionID, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return "", b.refuse
	}
	if b.snap == nil {
		return "", errors.New("fake: nothing to act on yet")
	}
	b.acts = append(b.acts, a)
	return state.ActionID(fmt.Sprintf("f-%d", len(b.acts))), nil
}

// Watch remembers what is being looked at.
func (b *Backend) Watch(in state.Interests) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = append(b.watched, in)
}

// Submitted returns what was submitted, oldest first.
func (b *Backend) Submitted() []state.Action {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]state.Action(nil), b.acts...)
}

// Watched returns every interest that was told, oldest first.
func (b *Backend) Watched() []state.Interests {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]state.Interests(nil), b.watched...)
}
