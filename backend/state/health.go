package state

import "time"

// Status is how a source, and so its section, is doing.
type Status string

// The statuses of a source.
const (
	// Connecting: it has not answered yet, and has not failed either.
	Connecting Status = "connecting"
	// OK: the data is current.
	OK Status = "ok"
	// Stale: it answered once, fails now; the data shown is its last.
	Stale Status = "stale"
	// Down: it has never answered and fails.
	Down Status = "down"
	// Absent: there is nothing of this kind here; Err says what was tried.
	Absent Status = "absent"
)

// Health says how far a section can be believed.
type Health struct {
	Status Status `json:"status"`
	// Since is when Status last changed.
	Since time.Time `json:"since,omitzero"`
	// LastOK is when data last arrived; zero when it never did.
	LastOK time.Time `json:"last_ok,omitzero"`
	// Err says what was tried, what happened and what to do, when Status is not OK.
	Err string `json:"err,omitempty"`
	// Attempt counts the tries since it last was OK.
	Attempt int `json:"attempt,omitempty"`
	// NextTry is when the next attempt is due; zero when one is under way.
	NextTry time.Time `json:"next_try,omitzero"`
}

// Known reports whether the section holds data, current or not.
func (h Health) Known() bool { return h.Status == OK || h.Status == Stale }

// Workspace is the section of the workspace: its settings, findings and consoles.
type Workspace struct {
	Health Health `json:"health"`
	// Title is the workspace's name, by default its folder's.
	Title string `json:"title"`
	// Dir is its absolute path.
	Dir string `json:"dir"`
	// ConfigFile is the workspace file's path, "" where there is none.
	ConfigFile string `json:"config_file,omitempty"`
	// Hostname is the host on which the engine runs.
	Hostname string `json:"hostname"`
	// Listen is the admin API's address, "" when it is not served; ListenErr says why.
	Listen    string `json:"listen,omitempty"`
	ListenErr string `json:"listen_err,omitempty"`
	// Started is when the engine started; PID is its process.
	Started time.Time `json:"started"`
	PID     int       `json:"pid"`
	// Version is the engine's version.
	Version string `json:"version"`
	// Found says, for each thing looked for, what was found or that it was not.
	Found []Finding `json:"found"`
	// Problems are the workspace file's errors: file, line, what was expected.
	Problems []string `json:"problems,omitempty"`
	// Consoles are those who look at this engine now.
	Consoles []Console `json:"consoles,omitempty"`
	// CPUPercent of one core and RSSBytes are the engine process's own use.
	CPUPercent float64 `json:"cpu_percent"`
	RSSBytes   uint64  `json:"rss_bytes"`
}

// Finding is one thing that was looked for when the workspace was opened.
type Finding struct {
	// What was looked for: "docker", "modules", "logs", ...
	What string `json:"what"`
	// Where it was looked for or found.
	Where string `json:"where"`
	// Found says whether it is there.
	Found bool `json:"found"`
	// Note adds a count or the reason.
	Note string `json:"note,omitempty"`
	// Origin says who named it: "default", "found", "opsdeck.yaml:12", "flag", "env".
	Origin string `json:"origin,omitempty"`
}

// Console is one attached console.
type Console struct {
	// ID names it while it is attached: "c3".
	ID    string    `json:"id,omitempty"`
	Actor Actor     `json:"actor"`
	Since time.Time `json:"since"`
	// Active is when a key was last pressed there, to some seconds; Since before the
	// first.
	Active time.Time `json:"active,omitzero"`
	// Control says whether this one may act; one may, the others look.
	Control bool `json:"control,omitempty"`
	// Asked is when this one asked for control; zero where it did not, or got it.
	Asked time.Time `json:"asked,omitzero"`
}

// Title names a console to people: "ada (pts/3)".
func (c Console) Title() string {
	if c.Actor.From == "" {
		return c.Actor.User
	}
	return c.Actor.User + " (" + c.Actor.From + ")"
}

// Controls reports whether consoles of this kind can hold control: a wall only
// looks, and a command comes and goes.
func (c Console) Controls() bool { return c.Actor.Via == "console" }

// Console returns the attached console of that ID, or nil.
func (w Workspace) Console(id string) *Console {
	for i := range w.Consoles {
		if id != "" && w.Consoles[i].ID == id {
			return &w.Consoles[i]
		}
	}
	return nil
}

// Holder returns the console that holds control, or nil.
func (w Workspace) Holder() *Console {
	for i := range w.Consoles {
		if w.Consoles[i].Control {
			return &w.Consoles[i]
		}
	}
	return nil
}
