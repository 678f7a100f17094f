package routing

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// ReplayDiff is what a change of the routing configuration would have made of delegations
// that happened.
type ReplayDiff struct {
	// Of is how many were looked at, Moved how many go elsewhere.
	Of    int            `json:"of"`
	Moved int            `json:"moved"`
	Tiers []TierDiff     `json:"tiers"` // by name
	Moves []CategoryMove `json:"moves"` // the largest first
	// Latency and Cost are expected means over all that are measured: of their tiers,
	// before and after; negative where unknown. P95 is that of what their tiers took, put
	// together. Measured is how many delegations have a tier whose latency is known,
	// before and after alike, Costed how many one whose cost is.
	LatencyBefore float64 `json:"latency_before_ms"`
	LatencyAfter  float64 `json:"latency_after_ms"`
	P95Before     float64 `json:"p95_before_ms"`
	P95After      float64 `json:"p95_after_ms"`
	CostBefore    float64 `json:"cost_before"`
	CostAfter     float64 `json:"cost_after"`
	Measured      int     `json:"measured"`
	Costed        int     `json:"costed"`
}

// TierDiff is one tier's load before and after.
type TierDiff struct {
	Tier   string `json:"tier"`
	Before int    `json:"before"`
	After  int    `json:"after"`
	TierStats
}

// TierStats is what delegations to a tier took. Latencies were measured over Records of
// them, the cost over Costed; negative where unknown. Failed counts those without an
// answer.
type TierStats struct {
	MeanMS   float64 `json:"mean_ms"`
	P95MS    float64 `json:"p95_ms"`
	MeanCost float64 `json:"mean_cost"`
	Records  int     `json:"records"`
	Costed   int     `json:"costed"`
	Failed   int     `json:"failed"`

	latencies []float64 // sorted
}

// Measured returns what delegations took, by tier.
func Measured(list []Delegation) map[string]TierStats {
	stats, cost := map[string][]float64{}, map[string][]float64{}
	out := map[string]TierStats{}
	for _, d := range list {
		if d.Tier == "" {
			continue
		}
		t := out[d.Tier]
		if d.Failed {
			t.Failed++
		}
		out[d.Tier] = t
		if d.LatencyMS >= 0 {
			stats[d.Tier] = append(stats[d.Tier], d.LatencyMS)
		}
		if d.Cost >= 0 {
			cost[d.Tier] = append(cost[d.Tier], d.Cost)
		}
	}
	for name, t := range out {
		l := stats[name]
		slices.Sort(l)
		t.MeanMS, t.P95MS, t.MeanCost, t.Records, t.Costed, t.latencies = mean(l), -1, mean(cost[name]), len(l), len(cost[name]), l
		if n := len(l); n > 0 {
			t.P95MS = l[max(0, int(math.Ceil(0.95*float64(n)))-1)]
		}
		out[name] = t
	}
	return out
}

// unmeasured is what a tier takes that nobody measured.
var unmeasured = TierStats{MeanMS: -1, P95MS: -1, MeanCost: -1}

// quantile returns the q-th quantile of the latencies of tiers put together, each in the
// part of all requests that weights gives it; -1 of none.
func quantile(q float64, stats map[string]TierStats, weights map[string]int) float64 {
	type part struct{ ms, weight float64 }
	var parts []part
	sum := 0.0
	for name, n := range weights {
		l := stats[name].latencies
		for _, ms := range l {
			parts = append(parts, part{ms, float64(n) / float64(len(l))})
		}
		if len(l) > 0 {
			sum += float64(n)
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.ms, b.ms) })
	at := 0.0
	for _, p := range parts {
		if at += p.weight; at >= q*sum-1e-9 {
			return p.ms
		}
	}
	return -1
}

// CategoryMove is how many delegations of a category go to another tier.
type CategoryMove struct {
	Category string `json:"category"`
	From     string `json:"from"`
	To       string `json:"to"`
	N        int    `json:"n"`
}

// maxMoves bounds the moves that are told.
const maxMoves = 10

// Replay decides delegations that happened under two configurations. What a tier
// takes and costs is what was measured of it; of a tier without records nothing is
// said.
func Replay(before, after map[string]any, list []Delegation) ReplayDiff {
	s := ReplayDiff{Of: len(list), Tiers: []TierDiff{}, Moves: []CategoryMove{}}
	stats := Measured(list)
	tiers, moves := map[string]*TierDiff{}, map[CategoryMove]int{}
	tier := func(name string) *TierDiff {
		name = cmp.Or(name, "nowhere")
		t := tiers[name]
		if t == nil {
			t = &TierDiff{Tier: name, TierStats: unmeasured}
			if m, ok := stats[name]; ok {
				t.TierStats = m
			}
			tiers[name] = t
		}
		return t
	}
	was, will := decider(before), decider(after)
	var lb, la, cb, ca []float64
	pb, pa := map[string]int{}, map[string]int{}
	for _, d := range list {
		from, to := tier(was(d)), tier(will(d))
		from.Before++
		to.After++
		if from != to {
			s.Moved++
			moves[CategoryMove{Category: d.Category, From: from.Tier, To: to.Tier}]++
		}
		if from.MeanMS >= 0 && to.MeanMS >= 0 {
			lb, la = append(lb, from.MeanMS), append(la, to.MeanMS)
			pb[from.Tier]++
			pa[to.Tier]++
		}
		if from.MeanCost >= 0 && to.MeanCost >= 0 {
			cb, ca = append(cb, from.MeanCost), append(ca, to.MeanCost)
		}
	}
	s.Measured, s.Costed = len(lb), len(cb)
	s.P95Before, s.P95After = quantile(0.95, stats, pb), quantile(0.95, stats, pa)
	s.LatencyBefore, s.LatencyAfter, s.CostBefore, s.CostAfter = mean(lb), mean(la), mean(cb), mean(ca)
	for _, name := range slices.Sorted(maps.Keys(tiers)) {
		s.Tiers = append(s.Tiers, *tiers[name])
	}
	for m, n := range moves {
		m.N = n
		s.Moves = append(s.Moves, m)
	}
	slices.SortFunc(s.Moves, func(a, b CategoryMove) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Category, b.Category), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	s.Moves = s.Moves[:min(len(s.Moves), maxMoves)]
	return s
}

// decider gives the tiers of delegations. A decision goes by the category and the side of
// the threshold alone, so that each is made once.
func decider(config map[string]any) func(Delegation) string {
	type side struct {
		category string
		below    bool
	}
	th, _ := threshold(config)
	made := map[side]string{}
	return func(d Delegation) string {
		k := side{d.Category, d.Complexity < th}
		tier, ok := made[k]
		if !ok {
			tier = Decide(config, d.Category, d.Complexity).Tier
			made[k] = tier
		}
		return tier
	}
}

// mean of some figures; -1 of none.
func mean(vs []float64) float64 {
	if len(vs) == 0 {
		return -1
	}
	sum := 0.0
	for _, v := range vs {
		sum += v
	}
	return sum / float64(len(vs))
}

// Lines returns the shift in sentences, what counts most first: a small dialog shows no more.
func (s ReplayDiff) Lines() []string {
	if s.Of == 0 {
		return nil
	}
	out := []string{fmt.Sprintf("%d of the last %d delegations go elsewhere", s.Moved, s.Of)}
	if s.LatencyBefore >= 0 {
		out = append(out, fmt.Sprintf("expected latency %.0f ms -> %.0f ms, p95 %.0f ms -> %.0f ms, over the %d whose tiers are measured", s.LatencyBefore, s.LatencyAfter, s.P95Before, s.P95After, s.Measured))
	} else {
		out = append(out, "expected latency unknown: none of them has tiers that are measured before and after")
	}
	if s.CostBefore >= 0 {
		out = append(out, fmt.Sprintf("expected cost of a request %.4f -> %.4f, over the %d whose tiers' cost is known", s.CostBefore, s.CostAfter, s.Costed))
	} else {
		out = append(out, "expected cost unknown: none of them has tiers whose cost is known before and after")
	}
	share := func(n int) string { return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(s.Of)) }
	for _, t := range s.Tiers {
		line := fmt.Sprintf("tier %s: %d (%s) -> %d (%s)", t.Tier, t.Before, share(t.Before), t.After, share(t.After))
		if t.MeanMS >= 0 {
			line += fmt.Sprintf(", takes %.0f ms, p95 %.0f ms, measured over %d", t.MeanMS, t.P95MS, t.Records)
		} else {
			line += ", what it takes is not known"
		}
		if t.Failed > 0 {
			line += fmt.Sprintf(", %d failed", t.Failed)
		}
		out = append(out, line)
	}
	for _, m := range s.Moves {
		out = append(out, fmt.Sprintf("%s: %d from %s to %s", cmp.Or(m.Category, "(no category)"), m.N, m.From, m.To))
	}
	return out
}

// Preview returns what a configuration would change: the difference from the one in force,
// what is odd about it, and what it would have made of delegations that happened. Its
// error is of type Problems, with file as the name.
func Preview(file string, now, next []byte, list []Delegation) (diff string, lines []string, err error) {
	config, err := Parse(file, next)
	if err != nil {
		return "", nil, err
	}
	var before map[string]any
	if now != nil {
		if before, err = Parse("in force", now); err != nil {
			return "", nil, err
		}
	}
	diff, _, _ = unified(now, next)
	return diff, append(oddities(config), Replay(before, config, list).Lines()...), nil
}

// WithThreshold returns a configuration with another threshold; the same for nil.
func WithThreshold(text []byte, threshold *float64) ([]byte, error) {
	if threshold == nil {
		return text, nil
	}
	out, _, err := edited(text, map[string]string{"patch": `{"lidm_delegation_threshold": ` + short64(*threshold) + `}`})
	return out, err
}

// Replay replays the known delegations, of the last window where it is above 0,
// under the configuration in force and another: after, nil for the same one, with
// another threshold where that is not nil. Its error may be of type Problems.
func (r *Service) Replay(after []byte, threshold *float64, window time.Duration) (ReplayDiff, error) {
	if after == nil {
		if after = r.JSON(); after == nil {
			return ReplayDiff{}, errors.New("there is no routing configuration: create " + r.config.rel)
		}
	}
	after, err := WithThreshold(after, threshold)
	if err != nil {
		return ReplayDiff{}, err
	}
	config, err := r.config.parse("", after)
	if err != nil {
		return ReplayDiff{}, err
	}
	list := r.delegations.list()
	if window > 0 {
		from := time.Now().Add(-window)
		list = slices.DeleteFunc(list, func(d Delegation) bool { return d.At.Before(from) })
	}
	return Replay(r.config.Current(), config, list), nil
}
