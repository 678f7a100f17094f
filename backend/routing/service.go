package routing

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Config says what a [Service] works on.
type Config struct {
	// File is the path of the routing configuration, DataDir the folder of routing.db and
	// delegations.jsonl.
	File, DataDir string
	// Rel returns a path as an operator would name it.
	Rel func(string) string
	// Query evaluates PromQL at this instant, over the series that other services' metrics
	// are relayed into; nil where there are none.
	Query func(ctx context.Context, promql string) ([]Sample, error)
	// Mask returns a text without secret values.
	Mask func(string) string
	// Changed is called whenever the section has changed.
	Changed func()
	Log     *slog.Logger
}

// Service keeps a workspace's routing configuration: the file, what is staged and on trial
// of it, its history, and the delegations that a change is replayed over. Its methods may
// be called at any time.
type Service struct {
	cfg         Config
	config      *File
	changes     sync.Mutex // held while the configuration is changed, and while a trial lapses
	histMu      sync.Mutex // guards hist
	hist        *history
	delegations *delegations
	figures     figures
	answers     answers

	mu       sync.Mutex
	staged   *staged                // a change that waits to be applied
	onTrial  *trial                 // one that waits to be confirmed
	versions []state.RoutingVersion // newest first
	unkept   string                 // why there are none
}

// New prepares a service; nothing is read before [Service.Open].
func New(cfg Config) (*Service, error) {
	config, err := NewFile(cfg.File, cfg.Rel(cfg.File))
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, config: config, delegations: &delegations{path: delegationsPath(cfg.DataDir)}}, nil
}

// notConfirmed is why a change is undone that was not confirmed while its engine ran.
const notConfirmed = "it was not confirmed before the engine ended"

// Open reads the configuration and its history, and undoes a change that an earlier
// process left on trial.
func (r *Service) Open(now time.Time) {
	_, _ = r.config.Reload(true, now) // the section says what is wrong
	r.kept(nil)
	r.lapse(now, true, notConfirmed)
}

// Run keeps delegations and asks for figures until ctx ends.
func (r *Service) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { r.keepDelegationsOn(ctx) })
	wg.Go(func() { r.askFigures(ctx) })
}

// Close undoes a change on trial and closes the history. It may be opened again.
func (r *Service) Close() error {
	r.lapse(time.Now(), true, notConfirmed)
	return r.closeHistory()
}

// Scan looks at the file, and at the time of a change on trial.
func (r *Service) Scan(now time.Time) {
	r.lapse(now, false, "nobody confirmed it in time")
	if changed, err := r.config.Reload(false, now); changed {
		if err != nil {
			r.cfg.Log.Warn("routing configuration", "err", err)
		} else {
			r.remember(state.Actor{User: "unknown", Via: "file"}, "file", "")
		}
		r.changed()
	}
}

// Kinds returns the actions that [Service.Execute] carries out.
func (r *Service) Kinds() []state.Kind {
	return []state.Kind{
		state.RoutingReload, state.RoutingSet, state.RoutingStage, state.RoutingThreshold, state.RoutingRoute, state.RoutingRemove,
		state.RoutingApply, state.RoutingDiscard, state.RoutingConfirm, state.RoutingRevert, state.RoutingRollback, state.RoutingTest, state.RoutingReplay,
	}
}

// Execute carries out an action. For routing.set, Args["config"] is a whole new
// configuration (with Args["keep"]="true" its members alone are set), or
// Args["category"] names the one that Args["patch"], a JSON object, is merged into,
// or that Args["delete"]="true" removes; Args["expect"] lists the tags ([Tag]) that
// the configuration in force may have.
// A routing.stage with Args["config"] and a routing.apply take Args["staged"], the tag
// of what was staged when it was looked at ("" for nothing): what another has staged
// since is neither overwritten nor applied unseen.
func (r *Service) Execute(ctx context.Context, a state.Action) (state.Outcome, error) {
	switch a.Kind {
	case state.RoutingReload:
		return r.reload(a.Actor)
	case state.RoutingTest, state.RoutingReplay:
		return r.ask(a)
	}
	return r.change(ctx, a)
}

// reload reads the file again, whether or not it changed.
func (r *Service) reload(by state.Actor) (state.Outcome, error) {
	changed, err := r.config.Reload(true, time.Now())
	if changed && err == nil {
		r.remember(by, "file", "")
	}
	r.changed()
	if err != nil {
		return state.Outcome{}, fmt.Errorf("reload the routing configuration: %w", publicError{err, r.clean(err.Error())})
	}
	s := r.config.section(r.cfg.Mask)
	return state.Outcome{Result: fmt.Sprintf("reloaded %s: %s, %s", s.File, plurals(s.Categories, "category", "categories"), plurals(s.Tiers, "tier", "tiers"))}, nil
}

// ask answers a question, and makes what comes of it fit to be published.
func (r *Service) ask(a state.Action) (state.Outcome, error) {
	out, err := r.answer(a)
	out.Result = r.clean(out.Result)
	if err != nil {
		verb := string(a.Kind)
		if spec := state.SpecOf(a.Kind); spec != nil {
			verb = spec.Verb
		}
		err = fmt.Errorf("%s %s: %w", verb, a.Target, publicError{err, r.clean(err.Error())})
	}
	return out, err
}

// Current returns the configuration in force, not to be changed; nil where there is none.
func (r *Service) Current() map[string]any { return r.config.Current() }

// clean returns text from outside fit to be published.
func (r *Service) clean(s string) string { return state.Clean(r.cfg.Mask(s)) }

// changed says that the section changed.
func (r *Service) changed() { r.cfg.Changed() }

// every calls f at an interval until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// publicError is an error whose text may be published.
type publicError struct {
	error
	text string
}

func (c publicError) Error() string { return c.text }
func (c publicError) Unwrap() error { return c.error }

func plurals(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
