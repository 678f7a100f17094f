package backend

import (
	"context"
	"fmt"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Client is the connection of a console, the command line or the API to an engine, in
// this process or in another.
type Client interface {
	// Wait returns the newest snapshot as soon as its Version is above after.
	Wait(ctx context.Context, after uint64) (*state.Snapshot, error)
	// Submit asks for an action; the error says why it was refused.
	Submit(ctx context.Context, a state.Action) (state.ActionID, error)
	// Watch sets the client's interests. It does not block.
	Watch(state.Interests)
}

// Do submits an action and waits until it is over, with its verdict where settled
// is true and one follows. each, if not nil, sees its progress. The error says
// why it was refused or could not be followed; an action that failed is no error.
func Do(ctx context.Context, s Client, a state.Action, settled bool, each func(state.Progress)) (state.Progress, error) {
	id, err := s.Submit(ctx, a)
	if err != nil {
		return state.Progress{}, err
	}
	after, seen := uint64(0), false
	for {
		snap, err := s.Wait(ctx, after)
		if err != nil {
			return state.Progress{ID: id, Action: a}, err
		}
		after = snap.Version
		p := snap.Actions.Progress(id)
		if p == nil && seen {
			return state.Progress{ID: id, Action: a}, fmt.Errorf("%s %s: the engine no longer knows of it: opsdeck journal list has the result of action %s", a.Kind, a.Target, id)
		}
		if p == nil {
			continue
		}
		seen = true
		if each != nil {
			each(*p)
		}
		if p.Done() && (!settled || p.Settling.IsZero()) {
			return *p, nil
		}
	}
}

// Watch implements Client for the hub itself, which has no interests.
func (*Hub) Watch(state.Interests) {}
