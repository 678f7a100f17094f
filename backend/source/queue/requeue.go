package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/opsdeck/opsdeck/backend/state"
)

// moveBatch is how many items go to the server in one pipeline.
const moveBatch = 100

// moveScript is LMOVE source destination LEFT RIGHT for servers before 6.2.
var moveScript = redis.NewScript(`local v = redis.call('LPOP', KEYS[1]); if v then redis.call('RPUSH', KEYS[2], v) end; return v`)

// Kinds implements state.Executor.
func (s *Source) Kinds() []state.Kind { return []state.Kind{state.QueueRequeue} }

// Execute implements state.Executor: it moves the items of a failed list back.
// Where it ends early, the error says how many were moved.
func (s *Source) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	from, to := a.Target, state.RequeueTarget(a.Target)
	if to == "" {
		return state.Outcome{}, fmt.Errorf("redis: requeue %q: its name does not end in \":failed\", so where its items belong is unknown", state.Clean(from))
	}
	rdb, err := s.server()
	if err != nil {
		return state.Outcome{}, err
	}
	n, err := rdb.LLen(ctx, from).Result()
	if err != nil {
		return state.Outcome{}, fmt.Errorf("redis: requeue %q: ask for its length: %s: see redis-cli TYPE %s", state.Clean(from), state.Clean(err.Error()), state.Clean(from))
	}
	moved, old := int64(0), false
	fail := func(err error) (state.Outcome, error) {
		hint := "the rest is where it was: try again"
		if errors.Is(err, context.Canceled) {
			hint = "it was cancelled: the rest was not moved"
		}
		return state.Outcome{}, fmt.Errorf("redis: requeue %q: after %d of %d items: %s: %s", state.Clean(from), moved, n, state.Clean(err.Error()), hint)
	}
	for moved < n {
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		progress(fmt.Sprintf("moved %d of %d items", moved, n), 100*float64(moved)/float64(n))
		batch := min(moveBatch, n-moved)
		cmds := make([]redis.Cmder, batch)
		// A batch that has begun is waited for, so that what was moved is known.
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		_, err := rdb.Pipelined(call, func(p redis.Pipeliner) error {
			for i := range cmds {
				if old {
					cmds[i] = moveScript.Eval(call, p, []string{from, to})
				} else {
					cmds[i] = p.LMove(call, from, to, "LEFT", "RIGHT")
				}
			}
			return nil
		})
		cancel()
		empty := false
		for _, c := range cmds {
			switch cerr := c.Err(); {
			case cerr == nil:
				moved++
			case errors.Is(cerr, redis.Nil):
				empty = true
			case err == nil || errors.Is(err, redis.Nil):
				err = cerr
			}
		}
		switch {
		case err != nil && !errors.Is(err, redis.Nil) && !old && strings.Contains(strings.ToLower(err.Error()), "unknown command"):
			old = true
		case err != nil && !errors.Is(err, redis.Nil):
			return fail(err)
		case empty:
			n = moved
		}
	}
	progress("done", 100)
	return state.Outcome{Result: fmt.Sprintf("moved %s from %s to %s", state.Plural(int(moved), "item"), state.Clean(from), state.Clean(to))}, nil
}
