package routing

import (
	"errors"
	"sync"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Draft stages changes of a configuration that is in force elsewhere, as that of
// an orchestrator that is no engine of ours. It puts nothing in force.
type Draft struct {
	check *File
	clean func(string) string

	mu sync.Mutex
	is *staged
}

// NewDraft makes an empty one; clean makes text from outside fit to be published.
func NewDraft(clean func(string) string) (*Draft, error) {
	r, err := NewFile("", "")
	if err != nil {
		return nil, err
	}
	return &Draft{check: r, clean: clean}, nil
}

// Describe fills in the rows, limits and oddities of the configuration text, its tag,
// and what is staged for it. Of one that does not hold to the schema only the tag.
func (d *Draft) Describe(out *state.Routing, text []byte) {
	out.MaxLatencyMS, out.MaxCost, out.Tag = -1, -1, Tag(text)
	config, err := d.check.parse("", text)
	if err != nil {
		return
	}
	describe(out, config, d.clean)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.is != nil && d.is.Base == out.Tag {
		s := d.is.StagedRouting
		out.Staged = &s
	}
}

// Stage carries out a routing.stage, routing.threshold, routing.route, routing.remove
// or routing.discard for the configuration now.
func (d *Draft) Stage(now []byte, a state.Action) (out state.Outcome, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	args := a.Args
	switch a.Kind {
	case state.RoutingStage:
	case state.RoutingDiscard:
		if d.is == nil {
			return out, errors.New("nothing is staged")
		}
		out.Result = "discarded the staged change of " + d.is.What
		d.is = nil
		return out, nil
	default:
		if args, err = argsOf(a); err != nil {
			return out, err
		}
	}
	s, err := restage(d.check, now, d.is, a, args, nil, d.clean)
	if err != nil {
		return out, err
	}
	d.is = s
	return s.outcome(a), nil
}

// Take returns the whole staged text, which is of the configuration now, and was seen as
// Args["staged"] says.
func (d *Draft) Take(now []byte, a state.Action) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.is == nil {
		return nil, errors.New("nothing is staged")
	}
	if err := seenStaged(a.Args, d.is); err != nil {
		return nil, err
	}
	if d.is.Base != Tag(now) {
		return nil, errors.New("the configuration was changed since: stage the change again")
	}
	return d.is.text, nil
}

// Done forgets what is staged.
func (d *Draft) Done() {
	d.mu.Lock()
	d.is = nil
	d.mu.Unlock()
}
