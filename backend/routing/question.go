package routing

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// keepTests is how many answers where a request goes are published.
const keepTests = 20

// answers are what was asked of routing in a console: nothing changes by it.
type answers struct {
	mu     sync.Mutex
	tests  []state.RouteTest // newest first
	replay *state.RouteReplay
}

func (k *answers) both() ([]state.RouteTest, *state.RouteReplay) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tests, k.replay
}

// answer answers routing.test (Args["category"], Args["complexity"]) under what is
// in force and, where something is staged, under that too; and routing.replay
// (Args["threshold"], Args["since"]) for what is staged, or in force, with another
// threshold.
func (r *Service) answer(a state.Action) (out state.Outcome, err error) {
	r.mu.Lock()
	is := r.staged
	r.mu.Unlock()
	if is != nil && is.Base != Tag(r.JSON()) {
		is = nil
	}
	defer r.changed()
	if a.Kind == state.RoutingReplay {
		return r.askReplay(a, is)
	}
	complexity, err := strconv.ParseFloat(strings.TrimSpace(a.Args["complexity"]), 64)
	if err != nil {
		return out, errComplexity
	}
	category := cmp.Or(strings.TrimSpace(a.Args["category"]), strings.TrimPrefix(a.Target, "category/"))
	if len(category) > longestName {
		return out, fmt.Errorf("the category has %d bytes: at most %d were expected", len(category), longestName)
	}
	decide := func(text []byte, tag string) error {
		d, err := r.Decide(text, category, complexity)
		if err != nil {
			return err
		}
		t := state.RouteTest{By: a.Actor, At: time.Now(), Category: r.clean(d.Category), Complexity: d.Complexity, Tag: tag, Staged: text != nil,
			Tier: r.clean(d.Tier), Strategy: d.Strategy, Endpoint: r.clean(d.Endpoint), Provider: r.clean(d.Provider), Model: r.clean(d.Model)}
		for _, s := range d.Steps {
			t.Steps = append(t.Steps, r.clean(s))
		}
		where := cmp.Or(t.Tier, "nowhere") + " (" + t.Strategy + ")"
		if t.Staged {
			out.Result += "; as staged to " + where
		} else {
			out.Result = fmt.Sprintf("%s at complexity %g goes to %s", t.Category, t.Complexity, where)
		}
		k := &r.answers
		k.mu.Lock()
		k.tests = append([]state.RouteTest{t}, k.tests[:min(len(k.tests), keepTests-1)]...)
		k.mu.Unlock()
		return nil
	}
	if err := decide(nil, Tag(r.JSON())); err != nil {
		return out, err
	}
	if is != nil {
		err = decide(is.text, is.Tag)
	}
	return out, err
}

func (r *Service) askReplay(a state.Action, is *staged) (out state.Outcome, err error) {
	var after []byte
	what := "the configuration in force"
	if is != nil {
		after, what = is.text, "what is staged"
	}
	var threshold *float64
	if text := strings.TrimSpace(a.Args["threshold"]); text != "" {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return out, fmt.Errorf("the threshold is %q: a number from 0 to 1 was expected", text)
		}
		threshold = &v
		what += " with the threshold " + short64(v)
	}
	window := time.Duration(0)
	if text := strings.TrimSpace(a.Args["since"]); text != "" {
		if window, err = state.ParseDuration(text); err != nil {
			return out, err
		}
		what += ", over the last " + text
	}
	shift, err := r.Replay(after, threshold, window)
	if err != nil {
		return out, err
	}
	if shift.Of == 0 {
		return out, errors.New("no delegations of that time are known")
	}
	told := &state.RouteReplay{By: a.Actor, At: time.Now(), What: r.clean(what)}
	for _, line := range shift.Lines() {
		told.Lines = append(told.Lines, r.clean(line))
	}
	k := &r.answers
	k.mu.Lock()
	k.replay = told
	k.mu.Unlock()
	return state.Outcome{Result: strings.Join(told.Lines[:min(3, len(told.Lines))], "; ")}, nil
}
