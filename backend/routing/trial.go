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

// put puts a change in force. With Args["confirm_within"] it is on trial: it is
// undone unless it is confirmed within that time.
func (r *Service) put(ctx context.Context, a state.Action, args map[string]string, expect, how string) (out state.Outcome, err error) {
	r.mu.Lock()
	on := r.onTrial
	r.mu.Unlock()
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
		h, err := r.openedHistory(true)
		if err != nil {
			return out, fmt.Errorf("it could not be undone by itself: %w", err)
		}
		before = func(was, is []byte) error {
			return h.begin(ctx, trial{RoutingTrial: state.RoutingTrial{By: a.Actor, Why: why, At: now, Until: now.Add(within)}, before: was, tag: Tag(is)})
		}
	}
	r.remember(engineItself, "found", "") // what is in force now, so that one can come back to it
	was, what, err := r.config.Change(args, expect, now, before)
	if err != nil {
		if within > 0 {
			err = errors.Join(err, r.endTrial(ctx))
		}
		return out, err
	}
	r.mu.Lock()
	r.staged = nil
	last := int64(0)
	if len(r.versions) > 0 {
		last = r.versions[0].Version
	}
	r.mu.Unlock()
	r.remember(a.Actor, how, why)
	out.Result = "set " + what + " in " + r.config.rel
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

func (r *Service) endTrial(ctx context.Context) error {
	h, err := r.openedHistory(false)
	if err != nil || h == nil {
		return err
	}
	if err := h.end(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	r.kept(nil)
	return nil
}

// confirm keeps the change on trial.
func (r *Service) confirm(ctx context.Context) (out state.Outcome, err error) {
	r.mu.Lock()
	on := r.onTrial
	r.mu.Unlock()
	if on == nil {
		return out, errors.New("no change waits to be confirmed: it was confirmed, or undone")
	}
	if err := r.endTrial(ctx); err != nil {
		return out, err
	}
	return state.Outcome{Result: "confirmed: the change by " + on.By.User + " stays in force"}, nil
}

// revert puts back what was before the change on trial. A file that was edited
// by hand meanwhile is left as it is: whoever did that has seen it.
func (r *Service) revert(ctx context.Context, by state.Actor, why string) (out state.Outcome, err error) {
	h, err := r.openedHistory(false)
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
	switch now := r.JSON(); {
	case now != nil && Tag(now) != on.tag:
		out.Result = "the file was changed meanwhile and stays as it is"
	case on.before == nil:
		if err := r.config.remove(); err != nil {
			return out, err
		}
		out.Result = "took the routing configuration away again: there was none before the change by " + on.By.User
	default:
		if err := r.config.restore(on.before, time.Now()); err != nil {
			return out, err
		}
		out.Result = "put back the routing configuration of before the change by " + on.By.User
	}
	if err := r.endTrial(ctx); err != nil {
		return out, err
	}
	r.remember(by, "reverted", why)
	return out, nil
}

// lapse undoes a change whose time to be confirmed is over, or, at the engine's start
// and end, any that is not confirmed.
func (r *Service) lapse(now time.Time, anyway bool, why string) {
	r.mu.Lock()
	on := r.onTrial
	r.mu.Unlock()
	if on == nil || !anyway && now.Before(on.Until) {
		return
	}
	r.changes.Lock()
	defer r.changes.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), historyDeadline)
	defer cancel()
	out, err := r.revert(ctx, engineItself, why)
	if err != nil {
		r.cfg.Log.Error("an unconfirmed change of routing could not be undone", "err", r.clean(err.Error()))
		return
	}
	r.cfg.Log.Warn("an unconfirmed change of routing was undone", "why", why, "result", r.clean(out.Result))
	r.changed()
}
