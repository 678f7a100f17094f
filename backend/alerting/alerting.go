package alerting

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Store is what rules are evaluated over.
type Store interface {
	storage.Queryable
	storage.Appendable
	Parser() parser.Parser
	Engine() *promql.Engine
	// Opened returns a channel that is closed once the store can be used.
	Opened() <-chan struct{}
}

// Config is what a Source is made of.
type Config struct {
	Store Store
	// Files are globs of rule files; where none matches, the built-in rules are used.
	Files []string
	// Root is the folder that files are named relative to.
	Root string
	// Interval is that of groups without one of their own.
	Interval time.Duration
	// Watches are alerts of logs, at first; [Source.SetWatches] changes them.
	Watches []Watch
	// Evidence gives annotations for an alert by its labels, as they stand now; nil
	// gives none.
	Evidence func(labels map[string]string) map[string]string
	// MarksFile keeps acknowledgements and silences.
	MarksFile string
	// Mask hides known secrets.
	Mask func(string) string
	Log  *slog.Logger
}

// Source evaluates rules. It writes the alerts section.
type Source struct {
	cfg    Config
	reload chan chan error
	// watches is a rule file; nil for none.
	watches atomic.Pointer[[]byte]

	mu    sync.Mutex
	marks *marks
	kick  chan struct{}
	last  state.Alerts
}

const (
	// pollEvery is how often alert states are read and rule files checked.
	pollEvery = time.Second
	// resolvedFor is how long a resolved alert is shown.
	resolvedFor = 15 * time.Minute
)

// New returns a source.
func New(cfg Config) *Source {
	s := &Source{cfg: cfg, reload: make(chan chan error), kick: make(chan struct{}, 1)}
	s.setWatches(cfg.Watches)
	return s
}

// Name implements state.Source.
func (*Source) Name() string { return "alerts" }

// Sections implements state.Source.
func (*Source) Sections() []state.SectionName { return []state.SectionName{state.SectionAlerts} }

// Run implements state.Source.
func (s *Source) Run(ctx context.Context, put func(state.Section)) error {
	m, err := openMarks(s.cfg.MarksFile, s.cfg.Store.Parser())
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.marks = m
	s.mu.Unlock()
	ld := newLoader(s.cfg.Store.Parser(), s.cfg.Log)
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	newManager := func() *rules.Manager {
		return rules.NewManager(&rules.ManagerOptions{
			ExternalURL:     &url.URL{},
			QueryFunc:       rules.EngineQueryFunc(s.cfg.Store.Engine(), s.cfg.Store),
			NotifyFunc:      func(context.Context, string, ...*rules.Alert) {},
			Context:         runCtx,
			Appendable:      s.cfg.Store,
			Queryable:       s.cfg.Store,
			Logger:          s.cfg.Log,
			OutageTolerance: time.Hour,
			ForGracePeriod:  time.Minute,
			ResendDelay:     time.Minute,
			GroupLoader:     ld,
			Parser:          s.cfg.Store.Parser(),
		})
	}
	mgr := newManager()
	var wg sync.WaitGroup
	started := false
	stop := func() {
		if !started { // its groups end only once they were let go
			wg.Go(mgr.Run)
		}
		mgr.Stop()
	}
	defer func() {
		stop()
		cancel()
		wg.Wait()
	}()
	load := func() error {
		if !started && len(mgr.RuleGroups()) > 0 {
			// Update waits for a changed group to end, which one that was never started
			// does not: a manager that has not started is replaced.
			stop()
			mgr = newManager()
		}
		files := s.files(ld)
		ld.forget(files)
		return mgr.Update(s.cfg.Interval, files, labels.EmptyLabels(), "", nil)
	}
	if err := load(); err != nil {
		return fmt.Errorf("alerts: load rules: %w", err)
	}
	publish := func() {
		next := s.section(mgr, ld)
		put(next)
	}
	publish()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	opened := s.cfg.Store.Opened()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-opened:
			opened, started = nil, true
			wg.Go(mgr.Run)
		case done := <-s.reload:
			err := load()
			if p := ld.list(); err == nil && len(p) > 0 {
				err = fmt.Errorf("%s", strings.Join(p, "\n"))
			}
			publish()
			done <- err
		case <-s.kick:
			if ld.changed(s.files(ld)) {
				if err := load(); err != nil {
					return fmt.Errorf("alerts: load rules: %w", err)
				}
			}
			publish()
		case <-tick.C:
			if ld.changed(s.files(ld)) {
				if err := load(); err != nil {
					return fmt.Errorf("alerts: load rules: %w", err)
				}
			}
			publish()
		}
	}
}

// files returns the rule files that match the globs now, or the built-in ones, and the
// one made from watches.
func (s *Source) files(ld *loader) []string {
	var out []string
	var more []string
	if b := s.watches.Load(); b != nil {
		ld.watches.Store(b)
		more = []string{watched}
	}
	for _, g := range s.cfg.Files {
		m, _ := filepath.Glob(g)
		out = append(out, m...)
	}
	if len(out) == 0 {
		return append(more, builtin)
	}
	slices.Sort(out)
	return append(slices.Compact(out), more...)
}

// section reads all rules' states.
func (s *Source) section(mgr *rules.Manager, ld *loader) state.Alerts {
	now := time.Now()
	out := state.Alerts{Interval: s.cfg.Interval, Silences: s.marks.active(now)}
	for i := range out.Silences {
		out.Silences[i].By, out.Silences[i].Comment = s.text(out.Silences[i].By), s.text(out.Silences[i].Comment)
	}
	settled := true
	for _, p := range ld.list() {
		out.Problems = append(out.Problems, s.text(s.short(p)))
	}
	live := map[string]bool{}
	for _, g := range mgr.RuleGroups() {
		rg := state.RuleGroup{Title: s.text(g.Name()), File: s.text(s.short(g.File())), Interval: g.Interval(), Rules: len(g.Rules()),
			LastEval: g.GetLastEvaluation(), Duration: g.GetEvaluationTime()}
		settled = settled && !rg.LastEval.IsZero()
		if rg.LastEval.After(out.Evaluated) {
			out.Evaluated = rg.LastEval
		}
		for _, r := range g.Rules() {
			rule, ok := r.(*rules.AlertingRule)
			if err := r.LastError(); err != nil && rg.Err == "" {
				rg.Err = s.text(r.Name() + ": " + err.Error())
			}
			settled = settled && r.LastError() == nil
			if !ok {
				continue
			}
			out.List = append(out.List, s.alerts(rule, rg, now, live)...)
		}
		out.Groups = append(out.Groups, rg)
	}
	// Only once every rule has been evaluated is it known which alerts are over:
	// after a start, or a reload, acknowledgements wait for theirs.
	if settled {
		if err := s.marks.expire(now, live); err != nil {
			s.cfg.Log.Error("alerts", "err", err)
		}
	}
	slices.SortFunc(out.List, func(a, b state.Alert) int {
		return cmp.Or(cmp.Compare(rank(a.State), rank(b.State)), severityRank(a.Severity)-severityRank(b.Severity),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.ID, b.ID))
	})
	s.mu.Lock()
	s.last = out
	s.mu.Unlock()
	return out
}

// alerts returns a rule's active and recently resolved alerts, or one inactive row.
func (s *Source) alerts(rule *rules.AlertingRule, rg state.RuleGroup, now time.Time, live map[string]bool) []state.Alert {
	base := state.Alert{Rule: s.text(rule.Name()), Group: rg.Title, File: rg.File, Query: s.text(rule.Query().String()),
		For: rule.HoldDuration(), Severity: s.text(rule.Labels().Get("severity"))}
	if err := rule.LastError(); err != nil {
		base.Err = s.text(err.Error())
	}
	var out []state.Alert
	rule.ForEachActiveAlert(func(a *rules.Alert) {
		al := base
		al.ID = rule.Name() + "-" + strconv.FormatUint(a.Labels.Hash(), 36)
		al.Labels, al.Annotations = s.texts(a.Labels), s.texts(a.Annotations)
		al.Severity = s.text(a.Labels.Get("severity"))
		al.Value, al.Since, al.Fired = finite(a.Value), a.ActiveAt, a.FiredAt
		switch {
		case !a.ResolvedAt.IsZero():
			if now.Sub(a.ResolvedAt) > resolvedFor {
				return
			}
			al.State, al.Resolved = state.AlertResolved, a.ResolvedAt
		case a.State == rules.StateFiring:
			al.State = state.AlertFiring
		case a.State == rules.StatePending:
			al.State = state.AlertPending
		default:
			return
		}
		if al.State != state.AlertResolved {
			live[al.ID] = true
			if k, ok := s.marks.acked(al.ID, al.Since); ok {
				al.AckedBy, al.AckedAt = k.By, k.At
			}
		}
		if sl, ok := s.marks.silencedBy(a.Labels, now); ok {
			al.SilencedUntil, al.SilencedBy, al.SilenceID = sl.Ends, sl.By, sl.ID
		}
		s.addEvidence(&al)
		out = append(out, al)
	})
	if len(out) > 0 {
		return out
	}
	base.ID, base.State, base.Value = rule.Name()+"-"+strconv.FormatUint(rule.Labels().Hash(), 36)+"-rule", state.AlertInactive, -1
	base.Labels, base.Annotations = s.texts(rule.Labels()), s.texts(rule.Annotations())
	s.addEvidence(&base)
	return []state.Alert{base}
}

// addEvidence adds evidence from other sections to an alert; a rule's own annotations win.
func (s *Source) addEvidence(a *state.Alert) {
	if s.cfg.Evidence == nil {
		return
	}
	for k, v := range s.cfg.Evidence(a.Labels) {
		if _, ok := a.Annotations[k]; !ok {
			a.Annotations[k] = s.text(v)
		}
	}
}

// finite maps what JSON cannot carry to the largest value that it can.
func finite(v float64) float64 {
	switch {
	case math.IsNaN(v):
		return 0
	case math.IsInf(v, 1):
		return math.MaxFloat64
	case math.IsInf(v, -1):
		return -math.MaxFloat64
	}
	return v
}

func rank(s state.AlertState) int {
	return slices.Index([]state.AlertState{state.AlertFiring, state.AlertPending, state.AlertResolved, state.AlertInactive}, s)
}

func severityRank(s string) int {
	switch strings.ToLower(s) {
	case "critical", "page", "emergency", "fatal":
		return 0
	case "error", "high", "major":
		return 1
	case "warning", "warn", "medium", "minor":
		return 2
	}
	return 3
}

func (s *Source) text(t string) string { return state.Clean(s.cfg.Mask(t)) }

func (s *Source) texts(ls labels.Labels) map[string]string {
	out := make(map[string]string, ls.Len())
	ls.Range(func(l labels.Label) { out[s.text(l.Name)] = s.text(l.Value) })
	return out
}

// short names a file relative to the root where it lies in it.
func (s *Source) short(path string) string {
	return strings.TrimPrefix(path, s.cfg.Root+string(filepath.Separator))
}

// Kinds implements state.Executor.
func (*Source) Kinds() []state.Kind {
	return []state.Kind{state.AlertAck, state.AlertUnack, state.AlertSilence, state.AlertUnsilence, state.RulesReload}
}

// Execute implements state.Executor.
func (s *Source) Execute(ctx context.Context, a state.Action, _ func(string, float64)) (state.Outcome, error) {
	if a.Kind == state.RulesReload {
		return s.reloadRules(ctx)
	}
	s.mu.Lock()
	m, al := s.marks, s.last.Alert(a.Target)
	s.mu.Unlock()
	if m == nil || al == nil {
		return state.Outcome{}, fmt.Errorf("%s: there is no alert %q now", a.Kind, a.Target)
	}
	defer func() {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}()
	undo := func(k state.Kind, args map[string]string) *state.Action {
		return &state.Action{Kind: k, Target: al.ID, Args: args}
	}
	switch a.Kind {
	case state.AlertAck:
		return state.Outcome{Result: "acknowledged " + al.Rule, Undo: undo(state.AlertUnack, nil)}, m.acknowledge(al, a.Actor.User)
	case state.AlertUnack:
		return state.Outcome{Result: "unacknowledged " + al.Rule, Undo: undo(state.AlertAck, nil)}, m.unacknowledge(al.ID)
	case state.AlertSilence:
		d, err := state.ParseDuration(cmp.Or(a.Args["duration"], "1h"))
		if err != nil {
			return state.Outcome{}, fmt.Errorf("silence %s: %w", al.Rule, err)
		}
		lset := map[string]string{}
		for k, v := range al.Labels {
			lset[k] = v
		}
		lset["alertname"] = al.Rule
		sl, err := m.silence(lset, d, a.Actor.User, a.Args["comment"])
		return state.Outcome{Result: fmt.Sprintf("silenced %s until %s", al.Rule, sl.Ends.Format(time.DateTime)), Undo: undo(state.AlertUnsilence, nil)}, err
	case state.AlertUnsilence:
		sl, err := m.unsilence(al.SilenceID)
		if err != nil {
			return state.Outcome{}, fmt.Errorf("unsilence %s: %w", al.Rule, err)
		}
		rest := max(time.Until(sl.Ends).Round(time.Second), time.Second)
		return state.Outcome{Result: "unsilenced " + al.Rule,
			Undo: undo(state.AlertSilence, map[string]string{"duration": rest.String(), "comment": sl.Comment})}, nil
	}
	return state.Outcome{}, fmt.Errorf("alerts: cannot %s", a.Kind)
}

func (s *Source) reloadRules(ctx context.Context) (state.Outcome, error) {
	done := make(chan error, 1)
	select {
	case s.reload <- done:
	case <-ctx.Done():
		return state.Outcome{}, fmt.Errorf("reload rule files: rules are not being evaluated: %w", ctx.Err())
	}
	if err := <-done; err != nil {
		return state.Outcome{}, fmt.Errorf("reload rule files: the others are loaded, but:\n%s", s.short(err.Error()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.last.Groups {
		n += g.Rules
	}
	return state.Outcome{Result: fmt.Sprintf("loaded %s in %s", state.Plural(n, "rule"), state.Plural(len(s.last.Groups), "group"))}, nil
}
