package state

import "time"

// Snapshot is one immutable instant of all sections.
type Snapshot struct {
	// Version rises by one with every published change; 0 is "nothing yet".
	Version uint64
	// At is when the snapshot was published.
	At time.Time
	// Versions has, for each section, the Version at which it last changed.
	Versions map[SectionName]uint64
	// You is the ID of the console that was given this snapshot; "" where none was:
	// for the API, a command, or the engine itself.
	You string

	Workspace  Workspace
	Modules    Modules
	Pipeline   Pipeline
	Services   Services
	Containers Containers
	Queues     Queues
	Logs       Logs
	Alerts     Alerts
	Host       Host
	Routing    Routing
	Actions    Actions
	Journal    Journal
}

// SectionName names one section of a Snapshot.
type SectionName string

// The sections, in the order in which a status report lists them.
const (
	SectionWorkspace  SectionName = "workspace"
	SectionModules    SectionName = "modules"
	SectionPipeline   SectionName = "pipeline"
	SectionServices   SectionName = "services"
	SectionContainers SectionName = "containers"
	SectionQueues     SectionName = "queues"
	SectionLogs       SectionName = "logs"
	SectionAlerts     SectionName = "alerts"
	SectionHost       SectionName = "host"
	SectionRouting    SectionName = "routing"
	SectionActions    SectionName = "actions"
	SectionJournal    SectionName = "journal"
)

// SectionNames lists every section.
var SectionNames = []SectionName{
	SectionWorkspace, SectionModules, SectionPipeline, SectionServices, SectionContainers,
	SectionQueues, SectionLogs, SectionAlerts, SectionHost, SectionRouting, SectionActions, SectionJournal,
}

// Section is one part of a Snapshot, written by one source.
// The methods are closed to this package: a section is added here.
type Section interface {
	// Name is the section's name.
	Name() SectionName
	// health reads the section's own Health.
	health() Health
	// withHealth is a copy of the section with the given Health.
	withHealth(Health) Section
	// place puts the section into the snapshot.
	place(*Snapshot)
}

// With is a copy of s with sec in place of its namesake, carrying health h, at
// the given version and time. The hub is its only caller outside of tests.
func (s *Snapshot) With(version uint64, at time.Time, secs ...Section) *Snapshot {
	next := *s
	next.Version, next.At = version, at
	next.Versions = make(map[SectionName]uint64, len(SectionNames))
	for k, v := range s.Versions {
		next.Versions[k] = v
	}
	for _, sec := range secs {
		sec.place(&next)
		next.Versions[sec.Name()] = version
	}
	return &next
}

// For is s as it is given to the console of that ID.
func (s *Snapshot) For(id string) *Snapshot {
	given := *s
	given.You = id
	return &given
}

// WithHealth is a copy of sec that carries h.
func WithHealth(sec Section, h Health) Section { return sec.withHealth(h) }

// HealthOf is the Health that sec carries.
func HealthOf(sec Section) Health { return sec.health() }

// Section is the section of that name, or nil for an unknown name.
func (s *Snapshot) Section(name SectionName) Section {
	switch name {
	case SectionWorkspace:
		return s.Workspace
	case SectionModules:
		return s.Modules
	case SectionPipeline:
		return s.Pipeline
	case SectionServices:
		return s.Services
	case SectionContainers:
		return s.Containers
	case SectionQueues:
		return s.Queues
	case SectionLogs:
		return s.Logs
	case SectionAlerts:
		return s.Alerts
	case SectionHost:
		return s.Host
	case SectionRouting:
		return s.Routing
	case SectionActions:
		return s.Actions
	case SectionJournal:
		return s.Journal
	}
	return nil
}
