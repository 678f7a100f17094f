package state

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Kind names an action: "module.enable". Its part before the dot names the
// section whose rows it acts on.
type Kind string

// Risk says how much an action asks before it acts.
type Risk string

// Risks.
const (
	// Safe acts at once.
	Safe Risk = "safe"
	// Confirm asks, with the cursor on Cancel.
	Confirm Risk = "confirm"
	// Typed wants the target's name typed.
	Typed Risk = "typed"
)

// Secret is a value that must not be seen: it prints, logs and marshals as "***".
type Secret string

// String implements fmt.Stringer without the value.
func (Secret) String() string { return "***" }

// GoString implements fmt.GoStringer without the value.
func (Secret) GoString() string { return "***" }

// Format implements fmt.Formatter, so that no verb prints the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// MarshalText implements encoding.TextMarshaler without the value.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// LogValue implements slog.LogValuer without the value.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// Reveal is the value itself, for the one who needs it.
func (s Secret) Reveal() string { return string(s) }

// Actor is who asks for an action, and from where.
type Actor struct {
	User string `json:"user"`
	// From is the terminal and, over SSH, the address it was opened from.
	From string `json:"from,omitempty"`
	// Via is "console", "wall", "cli", "api" or "engine".
	Via string `json:"via"`
	// Request is the id of the API request that it came by; "" for none.
	Request string `json:"request,omitempty"`
}

// Action is one request to change something.
type Action struct {
	Kind   Kind   `json:"kind"`
	Target string `json:"target"`
	// Args are the action's plain arguments, by field name.
	Args map[string]string `json:"args,omitempty"`
	// Secrets are its secret arguments; they are never journalled or published.
	Secrets map[string]Secret `json:"-"`
	Actor   Actor             `json:"actor"`
	// Console is the ID of the console that asks, "" for none; the hub sets it.
	Console string `json:"console,omitempty"`
	// Confirmed is the target's name as the operator typed it, for Typed actions,
	// or "yes" for Confirm ones.
	Confirmed string `json:"confirmed,omitempty"`
}

// ActionID names one submitted action, uniquely over restarts.
type ActionID string

// Field is one argument that an action asks for.
type Field struct {
	Key   string
	Label string
	// Hint says what is expected: "a duration such as 2h".
	Hint    string
	Default string
	Secret  bool
	// Required fields may not be left empty.
	Required bool
}

// Spec is one row of the table of actions.
type Spec struct {
	Kind Kind
	// Key is the console key, "" for none. Several kinds may share one: the first
	// that is not disabled for the target is meant.
	Key string
	// Verb, Past and Noun read "restart", "restarted", "container".
	Verb, Past, Noun string
	// Section is whose rows it acts on.
	Section SectionName
	Risk    Risk
	// Global actions need no row: their target is the one given here.
	Global string
	// Single actions take one target at a time, as Typed ones do.
	Single bool
	// Hidden actions are submitted by others (undo), never offered.
	Hidden bool
	// Looks actions answer a question and change nothing: they need no control.
	Looks bool
	// Admin actions are for the API's role admin alone: they change who may do what,
	// or the key of the credential store.
	Admin bool
	// Disabled says why the action cannot be done on the target now; "" when it can.
	// Callers ask [Why], which asks this.
	Disabled func(*Snapshot, string) string
	// Impact lists what will be touched, for the confirmation; nil for nothing to say.
	Impact func(*Snapshot, string) []string
	// Of is the one name under which a target goes, where several rows are one target
	// (the containers of a service); "" for a row that is none. nil: each its own.
	Of func(*Snapshot, string) string
	// Check says what is wrong with the arguments; "" for nothing. nil: nothing is.
	Check func(s *Snapshot, target string, args map[string]string) string
	// Fields are the arguments it asks for; nil for none.
	Fields func(*Snapshot, string) []Field
	// Given are arguments that go along unasked: what the operator was shown.
	Given func(*Snapshot, string) map[string]string
	// Long actions move as much as there is (images, logs, volumes) and may take hours: they
	// end by themselves, or are cancelled.
	Long bool
	// Measured says that a verdict follows: figures before and after.
	Measured bool
}

// Title is how the action is named in lists: "restart container".
func (s Spec) Title() string { return s.Verb + " " + s.Noun }

// Targets lists the IDs of all rows that the action could be meant for.
func (s Spec) Targets(snap *Snapshot) []string {
	if s.Global != "" {
		return []string{s.Global}
	}
	var ids []string
	switch s.Section {
	case SectionModules:
		for _, m := range snap.Modules.List {
			ids = append(ids, m.ID)
		}
	case SectionContainers:
		seen := map[string]bool{}
		for i := range snap.Containers.List {
			id := snap.Containers.List[i].Target()
			if s.Of != nil {
				if id = s.Of(snap, id); id == "" || seen[id] {
					continue
				}
				seen[id] = true
			}
			ids = append(ids, id)
		}
	case SectionLogs:
		for _, l := range snap.Logs.Sources {
			if l.Kind == "file" {
				ids = append(ids, l.Path)
			}
		}
	case SectionAlerts:
		for _, a := range snap.Alerts.List {
			ids = append(ids, a.ID)
		}
	case SectionQueues:
		for _, q := range snap.Queues.List {
			ids = append(ids, q.Key)
		}
	case SectionWorkspace:
		for _, c := range snap.Workspace.Consoles {
			if c.ID != snap.You && c.Controls() {
				ids = append(ids, c.ID)
			}
		}
	case SectionRouting:
		for _, r := range snap.Routing.Rows {
			ids = append(ids, r.ID)
		}
	case SectionPipeline:
		failed := s.Kind == PipelineRetry || s.Kind == PipelineDiscard
		for _, st := range snap.Pipeline.Stages {
			if !failed {
				ids = append(ids, st.Title)
			}
		}
		for _, j := range snap.Pipeline.Jobs {
			if failed && j.Status == "failed" {
				ids = append(ids, j.ID)
			}
		}
	case SectionActions:
		for _, p := range snap.Actions.List {
			ids = append(ids, string(p.ID))
		}
	}
	return ids
}

// Specs is the table of actions: a file of its own for the rows of each noun. Where
// several of a section share a key, the first that is not disabled is meant.
var Specs = slices.Concat(
	moduleSpecs, credentialSpecs, pipelineSpecs, routingSpecs, containerSpecs, composeSpecs, logSpecs, watchSpecs, alertSpecs, queueSpecs, workspaceSpecs,
)

// SpecOf is the table's row for a kind, or nil.
func SpecOf(k Kind) *Spec {
	for i := range Specs {
		if Specs[i].Kind == k {
			return &Specs[i]
		}
	}
	return nil
}

// Why is the reason why kind cannot be done on target now; "" when it can.
func Why(s *Snapshot, k Kind, target string) string {
	spec := SpecOf(k)
	if spec == nil {
		return fmt.Sprintf("there is no action %q", string(k))
	}
	if why := s.Modules.Cannot[k]; why != "" {
		return why
	}
	if spec.Disabled == nil {
		return ""
	}
	return spec.Disabled(s, target)
}

func notFound(noun, target string) string { return fmt.Sprintf("there is no %s %q", noun, target) }

// lastDone says who acted last on one of the targets.
func lastDone(s *Snapshot, targets ...string) []string {
	for _, e := range s.Journal.Entries {
		if e.Phase == PhaseEnd && slices.Contains(targets, e.Target) {
			did := string(e.Kind)
			if e.Kind == ContainerNote {
				did = e.Detail
			}
			return []string{fmt.Sprintf("last: %s by %s, %s, %s", did, e.Actor.User, e.At.Local().Format(time.DateTime), e.Outcome)}
		}
	}
	return nil
}
