package state

import "time"

// Snapshot is one immutable instant of all sections. A section is registered by its
// field here: their order is that of a status report.
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

	// Unknown has the sections of a newer engine that this program does not know.
	Unknown map[SectionName]Unknown
}

// The names of the sections.
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

// For returns s as it is given to the console of that ID.
func (s *Snapshot) For(id string) *Snapshot {
	given := *s
	given.You = id
	return &given
}
