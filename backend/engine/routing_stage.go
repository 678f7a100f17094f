package engine

import (
	"context"
	"encoding/json"
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

// routingActions carries out all that changes the routing configuration.
func (e *Engine) routingActions(ctx context.Context, a state.Action) (state.Outcome, error) {
	e.trials.Lock() // one at a time: a trial may lapse meanwhile
	defer e.trials.Unlock()
	defer e.routed()
	out, err := e.routingAction(ctx, a)
	if err != nil {
		verb := string(a.Kind)
		if spec := state.SpecOf(a.Kind); spec != nil {
			verb = spec.Title()
		}
		err = fmt.Errorf("%s: %w; nothing was changed", verb, cleanError{err, e.clean(err.Error())})
	}
	out.Result = e.clean(out.Result)
	return out, err
}

func (e *Engine) routingAction(ctx context.Context, a state.Action) (out state.Outcome, err error) {
	switch a.Kind {
	case state.RoutingStage:
		return e.stage(a, a.Args)
	case state.RoutingThreshold, state.RoutingRoute, state.RoutingRemove:
		args, err := routingArgs(a)
		if err != nil {
			return out, err
		}
		return e.stage(a, args)
	case state.RoutingDiscard:
		e.mu.Lock()
		was := e.staged
		e.staged = nil
		e.mu.Unlock()
		if was == nil {
			return out, errors.New("nothing is staged")
		}
		return state.Outcome{Result: "discarded the staged change of " + was.What}, nil
	case state.RoutingApply:
		e.mu.Lock()
		s := e.staged
		e.mu.Unlock()
		if s == nil {
			return out, errors.New("nothing is staged")
		}
		if err := seenStaged(a.Args, s); err != nil {
			return out, err
		}
		return e.putRouting(ctx, a, map[string]string{"config": string(s.text)}, s.Base, "applied")
	case state.RoutingSet:
		return e.putRouting(ctx, a, a.Args, a.Args["expect"], "set")
	case state.RoutingRollback:
		version, err := strconv.ParseInt(strings.TrimSpace(a.Args["version"]), 10, 64)
		if err != nil {
			return out, fmt.Errorf("%q is no version: the number of one that is kept was expected", a.Args["version"])
		}
		text, err := e.RoutingVersion(version)
		if err != nil {
			return out, err
		}
		return e.putRouting(ctx, a, map[string]string{"config": string(text)}, a.Args["expect"], "rolled back")
	case state.RoutingConfirm:
		return e.confirmRouting(ctx)
	case state.RoutingRevert:
		return e.revertRouting(ctx, a.Actor, a.Actor.User+" took it back")
	}
	return out, fmt.Errorf("engine: it has no action %q", string(a.Kind))
}

// routingArgs are the fields of a form as a change of the configuration.
func routingArgs(a state.Action) (map[string]string, error) {
	patch := map[string]any{}
	number := func(into map[string]any, key string, whole bool) error {
		text, given := a.Args[key]
		if text = strings.TrimSpace(text); !given {
			return nil
		}
		if text == "" {
			into[key] = nil
			return nil
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || whole && f != float64(int64(f)) || f < 0 {
			return fmt.Errorf("%s is %q: a number was expected", key, text)
		}
		into[key] = json.Number(text)
		return nil
	}
	kind, name, _ := strings.Cut(a.Target, "/")
	switch {
	case a.Kind == state.RoutingThreshold:
		limits := map[string]any{}
		if err := errors.Join(number(patch, "threshold", false), number(limits, "max_latency_ms", false), number(limits, "max_cost_per_request", false)); err != nil {
			return nil, err
		}
		if t, ok := patch["threshold"]; ok && t != nil {
			patch["lidm_delegation_threshold"] = t
		}
		delete(patch, "threshold")
		if len(limits) > 0 {
			patch["performance_constraints"] = limits
		}
		return asPatch(patch, nil)
	case a.Kind == state.RoutingRemove:
		return map[string]string{"category": name, "delete": "true"}, nil
	case kind == "tier":
		if on, ok := a.Args["enabled"]; ok {
			switch strings.ToLower(strings.TrimSpace(on)) {
			case "yes", "true", "on":
				patch["enabled"] = true
			case "no", "false", "off":
				patch["enabled"] = false
			default:
				return nil, fmt.Errorf("enabled is %q: yes or no was expected", on)
			}
		}
		if v := strings.TrimSpace(a.Args["endpoint"]); v != "" {
			patch["endpoint"] = v
		}
		if err := errors.Join(number(patch, "max_concurrent_requests", true), number(patch, "priority", true)); err != nil {
			return nil, err
		}
		for _, k := range []string{"max_concurrent_requests", "priority"} {
			if patch[k] == nil { // a tier has no null there
				delete(patch, k)
			}
		}
		return asPatch(patch, map[string]string{"tier": name})
	}
	for _, k := range []string{"tier", "provider", "model", "priority"} {
		if v, ok := a.Args[k]; ok {
			if patch[k] = any(strings.TrimSpace(v)); patch[k] == "" {
				patch[k] = nil
			}
		}
	}
	if err := number(patch, "max_latency_ms", true); err != nil {
		return nil, err
	}
	return asPatch(patch, map[string]string{"category": name})
}

func asPatch(patch map[string]any, args map[string]string) (map[string]string, error) {
	b, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	if args == nil {
		args = map[string]string{}
	}
	args["patch"] = string(b)
	return args, nil
}

// stage adds a change to what is staged, or begins with it.
func (e *Engine) stage(a state.Action, args map[string]string) (out state.Outcome, err error) {
	e.mu.Lock()
	was := e.staged
	e.mu.Unlock()
	s, err := restage(e.routing, e.RoutingJSON(), was, a, args, e.delegations.list(), e.clean)
	if err != nil {
		return out, err
	}
	e.mu.Lock()
	e.staged = s
	e.mu.Unlock()
	return s.outcome(a), nil
}

// outcome says what was staged.
func (s *staged) outcome(a state.Action) state.Outcome {
	return state.Outcome{Result: fmt.Sprintf("staged a change of %s: +%d -%d lines; it is in force once it is applied", s.What, s.Added, s.Removed),
		Undo: &state.Action{Kind: state.RoutingDiscard, Target: "routing", Actor: a.Actor}}
}

// restage is a change of the configuration now, on top of what was staged before.
func restage(r *routing, now []byte, was *staged, a state.Action, args map[string]string, list []Delegation, clean func(string) string) (*staged, error) {
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
	describeRouting(&as, config, clean)
	s.Threshold, s.MaxLatencyMS, s.MaxCost, s.Rows, s.Warnings = as.Threshold, as.MaxLatencyMS, as.MaxCost, as.Rows, as.Warnings
	s.What = clean(s.What)
	for _, line := range Replay(before, config, list).Lines() {
		s.Shift = append(s.Shift, clean(line))
	}
	return s, nil
}

// cut is a text of at most n bytes, which ends with a line that says so where it is cut.
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

// putRouting puts a change in force. With Args["confirm_within"] it is on trial: it is
// undone unless it is confirmed within that time.
func (e *Engine) putRouting(ctx context.Context, a state.Action, args map[string]string, expect, how string) (out state.Outcome, err error) {
	e.mu.Lock()
	on := e.onTrial
	e.mu.Unlock()
	if on != nil {
		return out, fmt.Errorf("the change by %s waits to be confirmed until %s: confirm or revert it first", on.By.User, on.Until.Local().Format(time.TimeOnly))
	}
	within := time.Duration(0)
	if text := strings.TrimSpace(a.Args["confirm_within"]); text != "" && text != "0" {
		if within, err = state.ParseDuration(text); err != nil {
			return out, err
		}
		if within < time.Second || within > longestTrial {
			return out, fmt.Errorf("to be confirmed within %s: 1s to %s was expected", within, longestTrial)
		}
	}
	now := time.Now()
	why := a.Args["why"]
	var before func(was, is []byte) error
	if within > 0 {
		h, err := e.history(true)
		if err != nil {
			return out, fmt.Errorf("it could not be undone by itself: %w", err)
		}
		before = func(was, is []byte) error {
			return h.begin(ctx, trial{RoutingTrial: state.RoutingTrial{By: a.Actor, Why: why, At: now, Until: now.Add(within)}, before: was, tag: Tag(is)})
		}
	}
	e.remember(engineItself, "found", "") // what is in force now, so that one can come back to it
	was, what, err := e.routing.change(args, expect, now, before)
	if err != nil {
		if within > 0 {
			err = errors.Join(err, e.endTrial(ctx))
		}
		return out, err
	}
	e.mu.Lock()
	e.staged = nil
	last := int64(0)
	if len(e.versions) > 0 {
		last = e.versions[0].Version
	}
	e.mu.Unlock()
	e.remember(a.Actor, how, why)
	out.Result = "set " + what + " in " + e.routing.rel
	if within > 0 {
		out.Result += fmt.Sprintf("; it is undone at %s unless it is confirmed", now.Add(within).Format(time.TimeOnly))
		out.Undo = &state.Action{Kind: state.RoutingRevert, Target: "routing", Actor: a.Actor}
	} else if was != nil && last > 0 {
		out.Undo = &state.Action{Kind: state.RoutingRollback, Target: "routing", Args: map[string]string{"version": strconv.FormatInt(last, 10), "why": "undone"}, Actor: a.Actor}
	} else if was != nil {
		out.Undo = &state.Action{Kind: state.RoutingSet, Target: "routing", Args: map[string]string{"config": string(was)}, Actor: a.Actor}
	}
	return out, nil
}

func (e *Engine) endTrial(ctx context.Context) error {
	h, err := e.history(false)
	if err != nil || h == nil {
		return err
	}
	if err := h.end(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	e.kept(nil)
	return nil
}

// confirmRouting keeps the change on trial.
func (e *Engine) confirmRouting(ctx context.Context) (out state.Outcome, err error) {
	e.mu.Lock()
	on := e.onTrial
	e.mu.Unlock()
	if on == nil {
		return out, errors.New("no change waits to be confirmed: it was confirmed, or undone")
	}
	if err := e.endTrial(ctx); err != nil {
		return out, err
	}
	return state.Outcome{Result: "confirmed: the change by " + on.By.User + " stays in force"}, nil
}

// revertRouting puts back what was before the change on trial. A file that was edited
// by hand meanwhile is left as it is: whoever did that has seen it.
func (e *Engine) revertRouting(ctx context.Context, by state.Actor, why string) (out state.Outcome, err error) {
	h, err := e.history(false)
	if err != nil || h == nil {
		return out, errors.Join(err, errors.New("no change waits to be confirmed"))
	}
	on, err := h.onTrial(ctx)
	if err != nil {
		return out, err
	}
	if on == nil {
		return out, errors.New("no change waits to be confirmed: it was confirmed, or undone")
	}
	switch now := e.RoutingJSON(); {
	case now != nil && Tag(now) != on.tag:
		out.Result = "the file was changed meanwhile and stays as it is"
	case on.before == nil:
		if err := e.routing.remove(); err != nil {
			return out, err
		}
		out.Result = "took the routing configuration away again: there was none before the change by " + on.By.User
	default:
		if err := e.routing.restore(on.before, time.Now()); err != nil {
			return out, err
		}
		out.Result = "put back the routing configuration of before the change by " + on.By.User
	}
	if err := e.endTrial(ctx); err != nil {
		return out, err
	}
	e.remember(by, "reverted", why)
	return out, nil
}

// lapse undoes a change whose time to be confirmed is over, or, at the engine's start
// and end, any that is not confirmed.
func (e *Engine) lapse(now time.Time, anyway bool, why string) {
	e.mu.Lock()
	on := e.onTrial
	e.mu.Unlock()
	if on == nil || !anyway && now.Before(on.Until) {
		return
	}
	e.trials.Lock()
	defer e.trials.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), historyDeadline)
	defer cancel()
	out, err := e.revertRouting(ctx, engineItself, why)
	if err != nil {
		e.cfg.Log.Error("an unconfirmed change of routing could not be undone", "err", e.clean(err.Error()))
		return
	}
	e.cfg.Log.Warn("an unconfirmed change of routing was undone", "why", why, "result", e.clean(out.Result))
	e.routed()
}

// routingSection is the routing configuration as state.
func (e *Engine) routingSection() state.Routing {
	out := e.routing.section(e.cfg.Mask.Mask)
	out.Tests, out.Replay = e.answers.both()
	out.Delegations = len(e.delegations.list())
	e.figures.into(&out)
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.staged; s != nil && s.Base == out.Tag {
		staged := s.StagedRouting
		out.Staged = &staged
	}
	if t := e.onTrial; t != nil {
		on := t.RoutingTrial
		on.Why = e.clean(on.Why)
		out.Trial = &on
	}
	out.History, out.Unkept = e.versions[:min(len(e.versions), shownHistory)], e.unkept
	return out
}
