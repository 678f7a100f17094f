package state

import "time"

// AlertState is where an alert stands.
type AlertState string

// Alert states.
const (
	AlertInactive AlertState = "inactive"
	AlertPending  AlertState = "pending"
	AlertFiring   AlertState = "firing"
	AlertResolved AlertState = "resolved"
)

// Alerts is the section of the alerts of all rules.
type Alerts struct {
	Health Health `json:"health"`
	// List has firing, pending and recently resolved alerts, and a row per rule
	// that is inactive.
	List []Alert `json:"list"`
	// Groups are the loaded rule groups.
	Groups []RuleGroup `json:"groups"`
	// Problems are rule files that could not be loaded: file, line, what is wrong.
	// What they held before stays in force.
	Problems []string  `json:"problems,omitempty"`
	Silences []Silence `json:"silences,omitempty"`
	// Evaluated is when rules were last evaluated; Interval how often they are.
	Evaluated time.Time     `json:"evaluated,omitzero"`
	Interval  time.Duration `json:"interval"`
}

// Alert is one alert of one rule.
type Alert struct {
	// ID is the rule and the labels' fingerprint: stable over restarts.
	ID    string     `json:"id"`
	Rule  string     `json:"rule"`
	Group string     `json:"group"`
	File  string     `json:"file"`
	State AlertState `json:"state"`
	// Severity is the label's, "" where there is none.
	Severity    string            `json:"severity,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"` // expanded
	Value       float64           `json:"value"`
	Query       string            `json:"query"`
	For         time.Duration     `json:"for"`
	// Since is when it became active; Fired and Resolved when it did.
	Since    time.Time `json:"since,omitzero"`
	Fired    time.Time `json:"fired,omitzero"`
	Resolved time.Time `json:"resolved,omitzero"`
	// AckedBy is who acknowledged it, and when.
	AckedBy string    `json:"acked_by,omitempty"`
	AckedAt time.Time `json:"acked_at,omitzero"`
	// SilencedUntil and SilencedBy say how long a silence covers it.
	SilencedUntil time.Time `json:"silenced_until,omitzero"`
	SilencedBy    string    `json:"silenced_by,omitempty"`
	SilenceID     string    `json:"silence_id,omitempty"`
	// Err is the rule's last evaluation error.
	Err string `json:"err,omitempty"`
}

// RuleGroup is one group of a rule file.
type RuleGroup struct {
	Title    string        `json:"title"`
	File     string        `json:"file"`
	Interval time.Duration `json:"interval"`
	Rules    int           `json:"rules"`
	LastEval time.Time     `json:"last_eval,omitzero"`
	Duration time.Duration `json:"duration"`
	Err      string        `json:"err,omitempty"`
}

// Silence mutes the alerts that its matchers match.
type Silence struct {
	ID       string    `json:"id"`
	Matchers []string  `json:"matchers"` // in PromQL's form: alertname="HighCPU"
	Starts   time.Time `json:"starts"`
	Ends     time.Time `json:"ends"`
	By       string    `json:"by"`
	Comment  string    `json:"comment,omitempty"`
}

// Alert returns the alert of that ID, or the only one of that rule name, or nil.
func (a Alerts) Alert(target string) *Alert {
	var byRule *Alert
	n := 0
	for i := range a.List {
		if a.List[i].ID == target {
			return &a.List[i]
		}
		if a.List[i].Rule == target {
			byRule = &a.List[i]
			n++
		}
	}
	if n == 1 {
		return byRule
	}
	return nil
}
