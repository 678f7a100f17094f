package state

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
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

// Reveal returns the value itself, for the one who needs it.
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
	// Impact returns what it does to its target, for the confirmation; nil for nothing to
	// say. What depends on the target is package policy's to add.
	Impact func(*Snapshot, string) []string
	// Of is the one name under which a target goes, where several rows are one target
	// (the containers of a service); "" for a row that is none. nil: each its own.
	Of func(*Snapshot, string) string
	// Check returns what is wrong with the arguments, "" for nothing; nil: nothing is.
	// Limits are package policy's to check.
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
	// CLI is its command; the zero one is derived: see [Spec.Command].
	CLI CLI
}

// CLI says how an action is done on the command line.
type CLI struct {
	// Use is the command's words and what it takes: "modules enable MODULE". Of what it
	// takes, in capitals, the first is the target, where the action has no Global one,
	// and the others are the arguments of Keys; one in brackets may be left out.
	Use string
	// Short is its help; "" is the action's title.
	Short string
	Keys  []string
	Flags []Flag
	// Key is the one secret that --from reads as it is. Without one, --from reads a JSON
	// object of the secret fields, or they are asked for on the terminal.
	Key string
	// None says that there is no command: it is meant for consoles alone.
	None bool
}

// Flag is an argument of an action as a flag.
type Flag struct {
	// Name is the flag, "" for the key with dashes.
	Name, Key, Default, Help string
	Required                 bool
}

// Command returns the command of the action, with what is derived filled in: the words
// from its kind, the help from its title, the flags from its plain fields. ok is false
// where there is none.
func (s *Spec) Command() (c CLI, ok bool) {
	c = s.CLI
	if c.None || s.Hidden && c.Use == "" {
		return c, false
	}
	if c.Use == "" {
		_, verb, _ := strings.Cut(string(s.Kind), ".")
		c.Use = string(s.Section) + " " + verb
		if s.Global == "" {
			c.Use += " " + strings.ToUpper(DescriptorOf(s.Section).Noun)
		}
	}
	if c.Short == "" {
		c.Short = s.Title()
	}
	if c.Flags == nil && s.Fields != nil {
		for _, f := range s.Fields(&Snapshot{}, "") {
			if !f.Secret && !slices.Contains(c.Keys, f.Key) {
				c.Flags = append(c.Flags, Flag{Key: f.Key, Default: f.Default, Help: f.Hint, Required: f.Required && f.Default == ""})
			}
		}
	}
	for i := range c.Flags {
		if f := &c.Flags[i]; f.Name == "" {
			f.Name = strings.ReplaceAll(f.Key, "_", "-")
		}
	}
	return c, true
}

// Title returns how the action is named in lists: "restart container".
func (s *Spec) Title() string { return s.Verb + " " + s.Noun }

// Targets returns the IDs of all rows that the action could be meant for.
func (s *Spec) Targets(snap *Snapshot) []string {
	if s.Global != "" {
		return []string{s.Global}
	}
	d := DescriptorOf(s.Section)
	if d.Targets == nil {
		return nil
	}
	ids := d.Targets(snap, s)
	if s.Of == nil {
		return ids
	}
	var of []string
	seen := map[string]bool{}
	for _, id := range ids {
		if id = s.Of(snap, id); id != "" && !seen[id] {
			seen[id] = true
			of = append(of, id)
		}
	}
	return of
}

// Canonical returns the one name under which a target is journalled.
func (s *Spec) Canonical(snap *Snapshot, target string) string {
	if s.Of != nil {
		if of := s.Of(snap, target); of != "" {
			return of
		}
	}
	if d := DescriptorOf(s.Section); d.Canonical != nil {
		if name := d.Canonical(snap, target); name != "" {
			return name
		}
	}
	return target
}

// Called returns what people call a target.
func (s *Spec) Called(snap *Snapshot, target string) string {
	if d := DescriptorOf(s.Section); d.Called != nil && snap != nil {
		if name := d.Called(snap, target); name != "" {
			return name
		}
	}
	return target
}

// Title returns an action in words: "restart container web".
func (a *Action) Title() string {
	s := SpecOf(a.Kind)
	switch {
	case s == nil:
		return string(a.Kind) + " " + a.Target
	case s.Global != "":
		return s.Title()
	}
	return s.Title() + " " + a.Target
}

// specs is the table of actions, from the sections' descriptors. The workspace's rows come
// last: they act on no row of a pane, and give way to those that do.
var specs = sync.OnceValue(func() (all []Spec) {
	for _, d := range Descriptors() {
		if d.Name != SectionWorkspace {
			all = append(all, d.Actions...)
		}
	}
	return append(all, workspaceSection.Actions...)
})

var specByKind = sync.OnceValue(func() map[Kind]*Spec {
	all, by := specs(), map[Kind]*Spec{}
	for i := range all {
		by[all[i].Kind] = &all[i]
	}
	return by
})

// Specs returns the table of actions: each section's rows, in its order. Where several
// of a section share a key, the first that is not disabled is meant. It is only read.
func Specs() []Spec { return specs() }

// SpecOf returns the table's row for a kind, or nil.
func SpecOf(k Kind) *Spec { return specByKind()[k] }

// Why returns the reason why kind cannot be done on target now; "" when it can.
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

// says returns an impact that is the same for every target.
func says(line string) func(*Snapshot, string) []string {
	return func(*Snapshot, string) []string { return []string{line} }
}

// LastDone returns who acted last on one of the targets, in a line; nil for nobody.
func LastDone(s *Snapshot, targets ...string) []string {
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
