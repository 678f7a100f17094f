package backend

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

// ErrRefused is wrapped by every error that means that an action was not started.
var ErrRefused = errors.New("refused")

const (
	// keepActions is how many actions the section shows.
	keepActions = 100
	// keepEnded is how long an action is shown at least after it has ended.
	keepEnded = 30 * time.Second
	// actionDeadline bounds every action, longDeadline those that move much.
	actionDeadline = 15 * time.Minute
	longDeadline   = 12 * time.Hour
)

// actions queues, runs and remembers actions.
type actions struct {
	hub       *Hub
	executors map[state.Kind]state.Executor

	mu    sync.Mutex
	list  []state.Progress // newest first
	last  map[string]chan struct{}
	stops map[state.ActionID]context.CancelCauseFunc // of those that are not over
	seq   uint64
	ctx   context.Context
	ready chan struct{} // closed when run has set ctx
	wg    sync.WaitGroup
}

func newActions(h *Hub, sources []state.Source) *actions {
	a := &actions{hub: h, executors: map[state.Kind]state.Executor{}, last: map[string]chan struct{}{}, stops: map[state.ActionID]context.CancelCauseFunc{}, ready: make(chan struct{})}
	for _, src := range sources {
		if ex, ok := src.(state.Executor); ok {
			a.register(ex)
		}
	}
	a.register(canceller{a})
	if j := h.opts.Journal; j != nil {
		for _, e := range j.Interrupted() {
			a.list = append(a.list, state.Progress{
				ID: e.Action, Status: "interrupted", Percent: -1, Queued: e.At, Started: e.At, Ended: e.At,
				Action: state.Action{Kind: e.Kind, Target: e.Target, Args: e.Args, Actor: e.Actor},
				Err:    "opsdeck stopped before it was done: check the target, then do it again or undo it",
			})
		}
	}
	return a
}

// register makes ex the executor of its kinds.
func (a *actions) register(ex state.Executor) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range ex.Kinds() {
		a.executors[k] = ex
	}
}

// AddExecutor registers ex, which is not a source, as the executor of its kinds.
func (h *Hub) AddExecutor(ex state.Executor) { h.actions.register(ex) }

// stopping reports whether new actions are refused.
func (a *actions) stopping() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ctx == nil || a.ctx.Err() != nil
}

// run starts actions until ctx ends, then waits for those in progress.
func (a *actions) run(ctx context.Context) {
	a.mu.Lock()
	a.ctx = ctx
	a.mu.Unlock()
	close(a.ready)
	<-ctx.Done()
	a.mu.Lock() // whoever submits now has been let in, or sees that ctx has ended
	n := len(a.stops)
	a.mu.Unlock()
	if n > 0 {
		a.hub.log.Info("stopping: waiting for actions under way", "actions", n)
	}
	a.wg.Wait()
}

// sections returns the hub's own sections as they are now.
func (a *actions) sections() []state.Section {
	now := time.Now()
	ok := state.Health{Status: state.OK, Since: now, LastOK: now}
	secs := []state.Section{state.Actions{Health: ok, List: append([]state.Progress(nil), a.list...)}}
	if j := a.hub.opts.Journal; j != nil {
		secs = append(secs, state.WithHealth(j.Section(), ok))
	}
	return secs
}

// changed publishes the actions and journal sections. The caller holds a.mu.
func (a *actions) changed() {
	secs := a.sections()
	a.hub.mu.Lock()
	for _, s := range secs {
		a.hub.own(s)
	}
	a.hub.mu.Unlock()
}

// newest returns the snapshot that the action's console would be given if nothing waited to
// be published.
func (a *actions) newest(ctx context.Context, act state.Action) *state.Snapshot {
	a.mu.Lock()
	ex := a.executors[act.Kind]
	a.mu.Unlock()
	if s, ok := ex.(state.Flusher); ok {
		s.Flush(ctx)
	}
	a.hub.publish()
	return a.hub.seenBy(act.Console)
}

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

func (a *actions) submit(ctx context.Context, act state.Action) (state.ActionID, error) {
	snap := a.hub.seenBy(act.Console)
	spec := state.SpecOf(act.Kind)
	if spec == nil {
		return "", refuse("there is no action %q", string(act.Kind))
	}
	if spec.Global != "" {
		act.Target = spec.Global
	}
	if why := state.ControlHeldBy(snap); why != "" && !spec.Looks && act.Kind != state.ControlRequest && act.Kind != state.ControlTake {
		return "", refuse("%s %s: %s: ask for control, or take it", spec.Verb, act.Target, why)
	}
	undoes := state.ActionID("")
	if act.Kind == state.ActionUndo {
		p := snap.Actions.Progress(state.ActionID(act.Target))
		if why := state.Why(snap, act.Kind, act.Target); why != "" {
			return "", refuse("undo %s: %s", act.Target, why)
		}
		undoes = p.ID
		inverse := *p.Undo
		inverse.Actor, inverse.Console, inverse.Confirmed = act.Actor, act.Console, inverse.Target
		act, spec = inverse, state.SpecOf(inverse.Kind)
	}
	target := act.Target
	act.Target = spec.Canonical(snap, target)
	if state.Why(snap, act.Kind, act.Target) != "" { // or not any more
		snap = a.newest(ctx, act)
		act.Target = spec.Canonical(snap, target)
	}
	if why := state.Why(snap, act.Kind, act.Target); why != "" {
		return "", refuse("%s %s: %s", spec.Verb, act.Target, why)
	}
	if spec.Risk == state.Typed && act.Confirmed != act.Target && spec.Canonical(snap, act.Confirmed) != act.Target {
		return "", refuse("%s %s: type its name, %s, to confirm", spec.Verb, act.Target, act.Target)
	}
	if why := misplacedSecret(snap, spec, act); why != "" {
		return "", refuse("%s %s: %s", spec.Verb, act.Target, why)
	}
	if why := policy.Check(snap, spec, act.Target, act.Args); why != "" {
		return "", refuse("%s %s: %s", spec.Verb, act.Target, why)
	}
	a.mu.Lock()
	ex := a.executors[act.Kind]
	a.mu.Unlock()
	if ex == nil {
		return "", refuse("%s %s: nothing here can do it", spec.Verb, act.Target)
	}
	if a.hub.opts.Journal == nil {
		return "", refuse("%s %s: there is no journal to write it to", spec.Verb, act.Target)
	}
	select {
	case <-a.ready:
	case <-ctx.Done():
		return "", ctx.Err()
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ctx.Err() != nil {
		return "", refuse("%s %s: opsdeck is stopping", spec.Verb, act.Target)
	}
	for i := range a.list {
		if a.list[i].ID == undoes && a.list[i].Undone {
			return "", refuse("undo %s: it is being undone, or has been", undoes)
		}
	}
	shown := act // what is published and journalled; the executor gets it as it was sent
	shown.Args, shown.Confirmed = nil, ""
	for k, v := range act.Args {
		if shown.Args == nil {
			shown.Args = make(map[string]string, len(act.Args))
		}
		shown.Args[a.text(k)] = short(a.text(v))
	}
	a.seq++
	id := state.ActionID(strconv.FormatInt(time.Now().UnixMilli(), 36) + "-" + strconv.FormatUint(a.seq, 36))
	if err := a.hub.opts.Journal.Append(state.Entry{
		Phase: state.PhaseBegin, Action: id, Kind: act.Kind, Target: act.Target, Args: shown.Args, Actor: act.Actor,
	}); err != nil {
		return "", refuse("%s %s: the journal cannot be written, so nothing was done: %v", spec.Verb, act.Target, err)
	}
	for i := range a.list {
		if undoes != "" && a.list[i].ID == undoes {
			a.list[i].Undone = true // from now on, so that it is undone once
		}
	}
	p := state.Progress{ID: id, Action: shown, Status: "queued", Percent: -1, Queued: time.Now()}
	a.list = append([]state.Progress{p}, a.list...)
	a.forget(time.Now())
	before := a.last[act.Target]
	done := make(chan struct{})
	a.last[act.Target] = done
	a.changed()
	ctx, stop := context.WithCancelCause(a.ctx)
	a.stops[id] = stop
	a.wg.Go(func() { a.perform(ctx, ex, spec, act, id, undoes, before, done) })
	return id, nil
}

// maxArg is how much of a plain argument is published and journalled, in
// bytes; a routing configuration may be a mebibyte.
const maxArg = 4 << 10

// short returns an argument as it is published: cut where it is long, with its size
// and the SHA-256 of the whole.
func short(v string) string {
	if len(v) <= maxArg {
		return v
	}
	sum := sha256.Sum256([]byte(v))
	return fmt.Sprintf("%s... (%d bytes, SHA-256 %x)", strings.ToValidUTF8(v[:maxArg], ""), len(v), sum)
}

// text returns text from outside masked and cleaned for publishing.
func (a *actions) text(s string) string { return state.Clean(a.hub.opts.Mask(s)) }

// misplacedSecret returns the name of a secret argument that was passed as a plain one,
// which is published and journalled; "" if there is none.
func misplacedSecret(snap *state.Snapshot, spec *state.Spec, act state.Action) string {
	if spec.Fields == nil {
		return ""
	}
	for _, f := range spec.Fields(snap, act.Target) {
		if _, ok := act.Args[f.Key]; ok && f.Secret {
			return f.Key + " is secret: send it among the secrets, not the plain arguments"
		}
	}
	return ""
}

// forget drops the oldest actions beyond keepActions, but none that is under way
// or whose result a client may not have read yet. The caller holds a.mu.
func (a *actions) forget(now time.Time) {
	for i := len(a.list) - 1; i >= 0 && len(a.list) > keepActions; i-- {
		if p := &a.list[i]; p.Done() && p.Settling.IsZero() && now.Sub(p.Ended) > keepEnded {
			a.list = slices.Delete(a.list, i, i+1)
		}
	}
}

// update changes one progress through f and publishes it.
func (a *actions) update(id state.ActionID, f func(*state.Progress)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.list {
		if a.list[i].ID == id {
			f(&a.list[i])
			a.changed()
			return
		}
	}
}

// perform runs one action after those before it on the same target.
func (a *actions) perform(ctx context.Context, ex state.Executor, spec *state.Spec, act state.Action, id, undoes state.ActionID, before <-chan struct{}, done chan struct{}) {
	defer func() {
		a.mu.Lock()
		a.stops[id](nil)
		delete(a.stops, id)
		a.mu.Unlock()
	}()
	deadline := actionDeadline
	if spec.Long {
		deadline = longDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if before != nil {
		select {
		case <-before:
		case <-ctx.Done():
		}
	}
	var figures func() []state.Figure
	if spec.Measured {
		figures = a.measure(ctx, ex, act)
	}
	a.update(id, func(p *state.Progress) { p.Status, p.Started = "running", time.Now() })
	out, err := state.Outcome{}, ctx.Err()
	began := time.Now()
	if err == nil {
		out, err = execute(ctx, ex, act, func(step string, percent float64) {
			step = a.text(step)
			a.update(id, func(p *state.Progress) {
				p.Step, p.Percent, p.Left = step, percent, 0
				if took := time.Since(p.Started); percent > 1 && percent < 100 && took > time.Second {
					p.Left = time.Duration(float64(took) * (100 - percent) / percent).Round(time.Second)
				}
			})
		})
	}
	if by := (cancelled{}); err != nil && errors.As(context.Cause(ctx), &by) {
		err = fmt.Errorf("%w: %w", by, err)
	}
	if err == nil {
		since := time.Now()
		if a.hub.owns(spec.Section) { // it was put while it was done
			since = began
		}
		a.seen(ctx, spec.Section, since)
	}
	entry := state.Entry{Phase: state.PhaseEnd, Action: id, Kind: act.Kind, Target: act.Target, Actor: act.Actor,
		Outcome: "ok", Detail: a.text(out.Result)}
	if err != nil {
		entry.Outcome, entry.Detail = "failed", a.text(err.Error())
	}
	jerr := a.hub.opts.Journal.Append(entry)
	measured := err == nil && spec.Measured && a.ctx.Err() == nil
	var was []state.Figure
	if spec.Measured {
		was = figures() // also of one that failed: its goroutine is waited for
	}
	a.update(id, func(p *state.Progress) {
		p.Ended, p.Percent, p.Left = time.Now(), 100, 0
		p.Status, p.Result, p.Undo = "done", entry.Detail, out.Undo
		if err != nil {
			p.Status, p.Result, p.Err = "failed", "", entry.Detail
		}
		if jerr != nil {
			p.Err = "it was done, but its end could not be journalled: " + jerr.Error()
		}
		if measured {
			p.Settling = time.Now().Add(a.hub.opts.Settle)
		}
	})
	if err != nil && undoes != "" {
		a.update(undoes, func(p *state.Progress) { p.Undone = false })
	}
	a.mu.Lock()
	if a.last[act.Target] == done {
		delete(a.last, act.Target)
	}
	a.mu.Unlock()
	close(done)
	if measured {
		a.judge(ex, act, id, was)
	}
}

// seen waits, for a moment at most, until the section that was acted on has been
// published again, so that a client that sees the action's result also sees its effect.
func (a *actions) seen(ctx context.Context, name state.SectionName, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s := a.hub.Latest()
	for s != nil && !s.HealthOf(name).LastOK.After(since) {
		s, _ = a.hub.Wait(ctx, s.Version)
	}
}

// measureTimeout is how long the figures of a [state.Measurer] may take.
const measureTimeout = 5 * time.Second

// measure reads the figures before an action: those of the snapshot at once, those of
// a [state.Measurer] while the action runs. The function that it returns waits for them.
func (a *actions) measure(ctx context.Context, ex state.Executor, act state.Action) func() []state.Figure {
	now, length := time.Now(), a.hub.opts.Settle
	figures := policy.Measure(a.hub.Latest(), act, state.Window{Length: length})
	m, ok := ex.(state.Measurer)
	if !ok {
		return func() []state.Figure { return figures }
	}
	more := make(chan []state.Figure, 1)
	a.wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, measureTimeout)
		defer cancel()
		more <- m.Figures(ctx, act, now.Add(-length), now)
	})
	return func() []state.Figure { return append(figures, <-more...) }
}

// settleFactor is how many times the settling time a verdict waits at most for a
// health check that has not answered.
const settleFactor = 6

// judge waits for the settling time, and longer for a health check that has not
// answered, and returns whether the target is better.
func (a *actions) judge(ex state.Executor, act state.Action, id state.ActionID, before []state.Figure) {
	from, began, settle := a.hub.Latest(), time.Now(), a.hub.opts.Settle
	if !a.sleep(settle) {
		return
	}
	for reported := false; policy.PendingReason(a.hub.Latest(), act) != "" && time.Since(began) < settleFactor*settle; reported = true {
		if !reported {
			a.update(id, func(p *state.Progress) { p.Settling = began.Add(settleFactor * settle) })
		}
		if !a.sleep(max(settle/10, 100*time.Millisecond)) {
			return
		}
	}
	latest, now := a.hub.Latest(), time.Now()
	after := policy.Measure(latest, act, state.Window{From: from, Length: now.Sub(began).Round(time.Second)})
	if m, ok := ex.(state.Measurer); ok {
		ctx, cancel := context.WithTimeout(a.ctx, measureTimeout)
		after = append(after, m.Figures(ctx, act, began, now)...)
		cancel()
	}
	v := policy.Judge(before, after)
	if why := policy.PendingReason(latest, act); why != "" {
		v.Note = why + " still"
	}
	a.mu.Lock()
	for _, p := range a.list {
		if p.ID != id && p.Action.Kind != state.ContainerNote && p.Action.Target == act.Target && p.Started.After(began) && (p.Status == "done" || p.Status == "running") {
			v.Note = fmt.Sprintf("%s by %s came in between", p.Action.Kind, p.Action.Actor.User)
			v.Word = "unknown"
		}
	}
	a.mu.Unlock()
	if err := a.hub.opts.Journal.Append(state.Entry{Phase: state.PhaseVerdict, Action: id, Kind: act.Kind, Target: act.Target,
		Actor: act.Actor, Outcome: v.Word, Detail: v.Summary()}); err != nil {
		a.hub.log.Error("verdict not journalled", "action", id, "err", err)
	}
	a.update(id, func(p *state.Progress) { p.Verdict, p.Settling = v, time.Time{} })
}

// sleep waits for d and reports whether it did; it returns false when the hub ends.
func (a *actions) sleep(d time.Duration) bool {
	select {
	case <-a.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func execute(ctx context.Context, ex state.Executor, act state.Action, progress func(string, float64)) (out state.Outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s %s: panic: %v\n%s", act.Kind, act.Target, r, debug.Stack())
		}
	}()
	return ex.Execute(ctx, act, progress)
}

// cancelled is the error of an action that was cancelled.
type cancelled struct{ by string }

func (c cancelled) Error() string { return "cancelled by " + c.by }

// canceller carries out the cancelling of other actions.
type canceller struct{ *actions }

// Kinds implements state.Executor.
func (canceller) Kinds() []state.Kind { return []state.Kind{state.ActionCancel} }

// Execute implements state.Executor.
func (c canceller) Execute(_ context.Context, act state.Action, _ func(string, float64)) (state.Outcome, error) {
	c.mu.Lock()
	stop := c.stops[state.ActionID(act.Target)]
	c.mu.Unlock()
	if stop == nil {
		return state.Outcome{}, fmt.Errorf("cancel %s: it is over already", act.Target)
	}
	stop(cancelled{act.Actor.User})
	return state.Outcome{Result: "cancellation requested"}, nil
}
