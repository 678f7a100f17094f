package routing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// How a change of the routing configuration goes: it is staged (checked, compared
// with what is in force, replayed), applied, and then undone unless it is confirmed
// in time:
//
//	stage, stage ... --apply--> on trial --confirm--> kept
//	     |                         | revert, time is up, the engine ends
//	  discard                      v
//	                        what was before
//
// The API's calls and files that are edited by hand go past the staging, as they
// always did.

const (
	// shownHistory and maxDiff bound what of the history and of a diff is published.
	shownHistory = 20
	maxDiff      = 32 << 10
	maxPastDiff  = 4 << 10
	// longestTrial bounds how long a change may wait to be confirmed.
	longestTrial = 24 * time.Hour
)

// staged is a change that waits to be applied.
type staged struct {
	state.StagedRouting
	text []byte
}

var engineItself = state.Actor{User: "engine", Via: "engine"}

// change carries out all that changes the routing configuration.
func (r *Service) change(ctx context.Context, a state.Action) (state.Outcome, error) {
	r.changes.Lock() // one at a time: a trial may lapse meanwhile
	defer r.changes.Unlock()
	defer r.changed()
	out, err := r.changeOf(ctx, a)
	if err != nil {
		verb := string(a.Kind)
		if spec := state.SpecOf(a.Kind); spec != nil {
			verb = spec.Title()
		}
		err = fmt.Errorf("%s: %w; nothing was changed", verb, publicError{err, r.clean(err.Error())})
	}
	out.Result = r.clean(out.Result)
	return out, err
}

func (r *Service) changeOf(ctx context.Context, a state.Action) (out state.Outcome, err error) {
	switch a.Kind {
	case state.RoutingStage:
		return r.stage(a, a.Args)
	case state.RoutingThreshold, state.RoutingRoute, state.RoutingRemove:
		args, err := argsOf(a)
		if err != nil {
			return out, err
		}
		return r.stage(a, args)
	case state.RoutingDiscard:
		r.mu.Lock()
		was := r.staged
		r.staged = nil
		r.mu.Unlock()
		if was == nil {
			return out, errors.New("nothing is staged")
		}
		return state.Outcome{Result: "discarded the staged change of " + was.What}, nil
	case state.RoutingApply:
		r.mu.Lock()
		s := r.staged
		r.mu.Unlock()
		if s == nil {
			return out, errors.New("nothing is staged")
		}
		if err := seenStaged(a.Args, s); err != nil {
			return out, err
		}
		return r.put(ctx, a, map[string]string{"config": string(s.text)}, s.Base, "applied")
	case state.RoutingSet:
		return r.put(ctx, a, a.Args, a.Args["expect"], "set")
	case state.RoutingRollback:
		version, err := strconv.ParseInt(strings.TrimSpace(a.Args["version"]), 10, 64)
		if err != nil {
			return out, fmt.Errorf("%q is no version: the number of one that is kept was expected", a.Args["version"])
		}
		text, err := r.Version(version)
		if err != nil {
			return out, err
		}
		return r.put(ctx, a, map[string]string{"config": string(text)}, a.Args["expect"], "rolled back")
	case state.RoutingConfirm:
		return r.confirm(ctx)
	case state.RoutingRevert:
		return r.revert(ctx, a.Actor, a.Actor.User+" took it back")
	}
	return out, fmt.Errorf("routing: it has no action %q", string(a.Kind))
}

// stage adds a change to what is staged, or begins with it.
func (r *Service) stage(a state.Action, args map[string]string) (out state.Outcome, err error) {
	r.mu.Lock()
	was := r.staged
	r.mu.Unlock()
	s, err := restage(r.config, r.JSON(), was, a, args, r.delegations.list(), r.clean)
	if err != nil {
		return out, err
	}
	r.mu.Lock()
	r.staged = s
	r.mu.Unlock()
	return s.outcome(a), nil
}

// outcome says what was staged.
func (s *staged) outcome(a state.Action) state.Outcome {
	return state.Outcome{Result: fmt.Sprintf("staged a change of %s: +%d -%d lines; it is in force once it is applied", s.What, s.Added, s.Removed),
		Undo: &state.Action{Kind: state.RoutingDiscard, Target: "routing", Actor: a.Actor}}
}

// restage returns a change of the configuration now, on top of what was staged before.
func restage(r *File, now []byte, was *staged, a state.Action, args map[string]string, list []Delegation, clean func(string) string) (*staged, error) {
	base, tag := now, Tag(now)
	if was != nil && was.Base == tag {
		base = was.text // what is staged already stays, unless all of it is given anew
	} else if was != nil {
		was = nil // it was of another configuration than is in force now
	}
	if want := args["expect"]; want != "" && want != tag {
		return nil, fmt.Errorf("%w: edit it again", ErrChanged)
	}
	if err := seenStaged(args, was); err != nil {
		return nil, err
	}
	text, what, err := edited(base, args)
	if err != nil {
		return nil, err
	}
	if text, err = r.indented(text); err != nil {
		return nil, err
	}
	before, berr := r.parse("", now)
	if berr == nil {
		if now, err = spaced(now); err != nil { // what is only written in another way is no change
			return nil, err
		}
	}
	if string(text) == string(now) {
		return nil, errors.New("that is what is in force")
	}
	config, err := r.parse("", text)
	if err != nil {
		return nil, err
	}
	s := &staged{text: text, StagedRouting: state.StagedRouting{By: a.Actor, At: time.Now(), What: what, Base: tag, Tag: Tag(text)}}
	if was != nil && what != was.What && args["config"] == "" {
		s.What = was.What + ", " + what
	}
	diff, added, removed := unified(now, text)
	s.Diff, s.Added, s.Removed = clean(cut(diff, maxDiff)), added, removed
	s.JSON = clean(strings.TrimSpace(string(text)))
	var as state.Routing
	describe(&as, config, clean)
	s.Threshold, s.MaxLatencyMS, s.MaxCost, s.Rows, s.Warnings = as.Threshold, as.MaxLatencyMS, as.MaxCost, as.Rows, as.Warnings
	s.What = clean(s.What)
	for _, line := range Replay(before, config, list).Lines() {
		s.ReplayDiff = append(s.ReplayDiff, clean(line))
	}
	return s, nil
}

// cut returns a text of at most n bytes, which ends with a line that says so where it is cut.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:strings.LastIndexByte(text[:n], '\n')+1], "") + "... (cut)\n"
}

// seenStaged refuses what was meant for another staged change than there is now: with
// args["staged"] whoever asks says which one was looked at.
func seenStaged(args map[string]string, is *staged) error {
	want, said := args["staged"]
	switch {
	case !said || is == nil && want == "" || is != nil && is.Tag == want:
		return nil
	case is == nil:
		return errors.New("what was staged has been applied or discarded meanwhile: look again")
	}
	return fmt.Errorf("%s staged a change of %s meanwhile: look at it first", is.By.User, is.What)
}
