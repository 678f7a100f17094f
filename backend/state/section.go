package state

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"
)

// SectionName names one section of a Snapshot.
type SectionName string

// Section is one part of a Snapshot, written by one source: a struct with a JSON form
// and a field "Health Health". It is registered by being a field of [Snapshot].
type Section interface {
	// Describe returns what the rest of the program reads of sections of this type. It
	// is the same for every value of the type.
	Describe() *Descriptor
}

// Descriptor is all that the program knows about a section beside its type: the hub, the
// wire, the command line, the API and the screen read it, and none of them names a
// section. Of its functions, those that a section has no use for are nil.
type Descriptor struct {
	Name SectionName
	// Noun is one row of it: "container".
	Noun string
	// Actions are its rows of the table of actions, in the order of menus. Where several
	// share a key, the first that is not disabled is meant.
	Actions []Spec
	// Targets returns the targets of all rows that an action could be meant for.
	Targets func(*Snapshot, *Spec) []string
	// Canonical returns the one name under which a target is journalled, "" where it
	// knows none.
	Canonical func(s *Snapshot, target string) string
	// Called returns what people call a target, "" for the target itself.
	Called func(s *Snapshot, target string) string
	// Figures returns what a verdict on an action compares, as s has it at the end of a
	// window; nil for a target without figures.
	Figures func(*Snapshot, Action, Window) []Figure
	// Pending returns why a verdict on an action would be early: a health check has not
	// answered since. It is "" where none would.
	Pending func(*Snapshot, Action) string
	// Summary returns the section in one line for a status report: "3 of 5 enabled". A
	// section without one is not listed there.
	Summary func(*Snapshot) string
	// Troubles returns what is wrong in it.
	Troubles func(*Snapshot) []Trouble
	// Doctor returns what an examination of the workspace says of it while its engine
	// runs, and whether that needs no attention. nil: its health, and its Summary.
	Doctor func(*Snapshot) (ok bool, detail string)
	// Sampled reports whether its first figures have been read; nil: they come with it.
	Sampled func(*Snapshot) bool
	// Detailed reports whether what takes a second look has been read too, which a list
	// waits for a moment; nil: there is no such thing.
	Detailed func(*Snapshot) bool
	// ReadyFor reports whether what an action needs to know of its target has been
	// read; nil: it has, once the section is known.
	ReadyFor func(*Snapshot, Action) bool
	// Urgent reports whether b says something, where a said something else, that is
	// shown at once and not with the next tick of the clock.
	Urgent func(a, b *Snapshot) bool
	// Lists are its tables on the command line.
	Lists []List
	// Pane is what the console says of the pane in which it shows the first of Lists, in
	// a paragraph; "" is for a section that has a pane of its own, or none.
	Pane string
}

// Trouble is one thing that is wrong.
type Trouble struct {
	// Rank orders troubles, the worst first, from 0.
	Rank int
	// Text is the sentence: what is wrong with what, and why.
	Text string
	// Target is the row that it is about, "" for none.
	Target string
}

// The ranks of troubles.
const (
	RankAlert = iota
	RankFailed
	RankUnhealthy
	RankUnreachable
	RankUnseen
	RankConfig
	RankProof
)

// Unknown is a section that this program does not know, from a newer engine: kept as it
// came, so that it is named and can be read through the API.
type Unknown struct {
	Section SectionName
	Health  Health
	JSON    json.RawMessage
}

// Describe implements Section.
func (u Unknown) Describe() *Descriptor { return &Descriptor{Name: u.Section} }

// MarshalJSON returns the section as it came.
func (u Unknown) MarshalJSON() ([]byte, error) { return u.JSON, nil }

// sectionType is one registered section.
type sectionType struct {
	*Descriptor
	typ    reflect.Type
	field  int // of Snapshot
	health int // of typ
}

// registry is the sections of Snapshot, by its fields. It is read through interfaces
// alone, so that descriptors may refer to the table of actions that is made from them.
var registry = sync.OnceValue(func() (all []sectionType) {
	section, health := reflect.TypeFor[Section](), reflect.TypeFor[Health]()
	for i, f := range reflect.VisibleFields(reflect.TypeFor[Snapshot]()) {
		if !f.Type.Implements(section) {
			continue
		}
		h, ok := f.Type.FieldByName("Health")
		if !ok || h.Type != health || len(h.Index) != 1 {
			panic(fmt.Sprintf("state: section %s has no field Health", f.Name))
		}
		all = append(all, sectionType{reflect.Zero(f.Type).Interface().(Section).Describe(), f.Type, i, h.Index[0]})
	}
	return all
})

var registryByName = sync.OnceValue(func() map[SectionName]*sectionType {
	byName := map[SectionName]*sectionType{}
	all := registry()
	for i := range all {
		byName[all[i].Name] = &all[i]
	}
	return byName
})

// Descriptors returns the descriptors of all sections, in the order of a status report.
func Descriptors() (all []*Descriptor) {
	for _, t := range registry() {
		all = append(all, t.Descriptor)
	}
	return all
}

// DescriptorOf returns the descriptor of the section of that name; one that says nothing
// but the name for a section that is not registered.
func DescriptorOf(name SectionName) *Descriptor {
	if t := registryByName()[name]; t != nil {
		return t.Descriptor
	}
	return &Descriptor{Name: name}
}

// SectionNames returns the names of all sections, in the order of a status report.
func SectionNames() (names []SectionName) {
	for _, t := range registry() {
		names = append(names, t.Name)
	}
	return names
}

// NewSection returns the empty section of that name, or nil for a name that is not
// registered.
func NewSection(name SectionName) Section {
	if t := registryByName()[name]; t != nil {
		return reflect.Zero(t.typ).Interface().(Section)
	}
	return nil
}

// DecodeSection reads the JSON form of a section. One of a name that is not registered
// is an [Unknown]; the error is for JSON that is not of the registered type.
func DecodeSection(name SectionName, raw []byte) (Section, error) {
	t := registryByName()[name]
	if t == nil {
		u := Unknown{Section: name, JSON: append(json.RawMessage(nil), raw...)}
		var some struct {
			Health Health `json:"health"`
		}
		if err := json.Unmarshal(raw, &some); err != nil {
			return nil, fmt.Errorf("section %s: %w", name, err)
		}
		u.Health = some.Health
		return u, nil
	}
	v := reflect.New(t.typ)
	if err := json.Unmarshal(raw, v.Interface()); err != nil {
		return nil, fmt.Errorf("section %s: %w", name, err)
	}
	return v.Elem().Interface().(Section), nil
}

// NameOf returns the section's name.
func NameOf(sec Section) SectionName { return sec.Describe().Name }

// HealthOf returns the Health that sec carries.
func HealthOf(sec Section) Health {
	if u, ok := sec.(Unknown); ok {
		return u.Health
	}
	t := registryByName()[NameOf(sec)]
	return reflect.ValueOf(sec).Field(t.health).Interface().(Health)
}

// WithHealth returns a copy of sec that carries h.
func WithHealth(sec Section, h Health) Section {
	if u, ok := sec.(Unknown); ok {
		u.Health = h
		return u
	}
	t := registryByName()[NameOf(sec)]
	v := reflect.New(t.typ).Elem()
	v.Set(reflect.ValueOf(sec))
	v.Field(t.health).Set(reflect.ValueOf(h))
	return v.Interface().(Section)
}

// With returns a copy of s with secs in place of their namesakes, at the given version
// and time. The hub is its only caller outside of tests.
func (s *Snapshot) With(version uint64, at time.Time, secs ...Section) *Snapshot {
	next := *s
	next.Version, next.At = version, at
	next.Versions = make(map[SectionName]uint64, len(s.Versions)+len(secs))
	for k, v := range s.Versions {
		next.Versions[k] = v
	}
	var fields reflect.Value
	for _, sec := range secs {
		name := NameOf(sec)
		next.Versions[name] = version
		if u, ok := sec.(Unknown); ok {
			unknown := make(map[SectionName]Unknown, len(next.Unknown)+1)
			for k, v := range next.Unknown {
				unknown[k] = v
			}
			unknown[name] = u
			next.Unknown = unknown
			continue
		}
		if !fields.IsValid() {
			fields = reflect.ValueOf(&next).Elem()
		}
		fields.Field(registryByName()[name].field).Set(reflect.ValueOf(sec))
	}
	return &next
}

// Section returns the section of that name, or nil for a name that neither this program
// nor its engine knows.
func (s *Snapshot) Section(name SectionName) Section {
	if t := registryByName()[name]; t != nil {
		return reflect.ValueOf(s).Elem().Field(t.field).Interface().(Section)
	}
	if u, ok := s.Unknown[name]; ok {
		return u
	}
	return nil
}

// HealthOf returns the Health of the section of that name; the zero Health for a name
// that is not known.
func (s *Snapshot) HealthOf(name SectionName) Health {
	if t := registryByName()[name]; t != nil {
		return reflect.ValueOf(s).Elem().Field(t.field).Field(t.health).Interface().(Health)
	}
	return s.Unknown[name].Health
}
