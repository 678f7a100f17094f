package state

import (
	"fmt"
	"regexp"
)

// The kinds of action on containers.
const (
	ContainerRestart Kind = "container.restart"
	ContainerStop    Kind = "container.stop"
	ContainerStart   Kind = "container.start"
	ContainerKill    Kind = "container.kill"
	ContainerPause   Kind = "container.pause"
	ContainerUnpause Kind = "container.unpause"
	ContainerUpdate  Kind = "container.update"
	ContainerRename  Kind = "container.rename"
	ContainerRemove  Kind = "container.remove"
	ContainerPrune   Kind = "container.prune"
	ContainerNote    Kind = "container.note"
)

var containerSpecs = []Spec{
	{Kind: ContainerRestart, Key: "R", Verb: "restart", Past: "restarted", Noun: "container", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "containers restart CONTAINER", Short: "restart a container and say whether it is better"},
		Disabled: containerDisabled(func(c *Container) string {
			if c.State == "removing" || c.State == "dead" {
				return "it is " + c.State
			}
			return ""
		}), Measured: true},
	{Kind: ContainerStop, Key: "S", Verb: "stop", Past: "stopped", Noun: "container", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "containers stop CONTAINER", Short: "stop a container"},
		Disabled: containerDisabled(running), Measured: true},
	{Kind: ContainerStart, Key: "S", Verb: "start", Past: "started", Noun: "container", Section: SectionContainers, Risk: Safe, CLI: CLI{Use: "containers start CONTAINER", Short: "start a container"},
		Disabled: containerDisabled(func(c *Container) string {
			if c.State != "exited" && c.State != "created" {
				return "it is " + c.State + " already"
			}
			return ""
		}), Measured: true},
	{Kind: ContainerKill, Verb: "kill", Past: "signalled", Noun: "container", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "containers kill CONTAINER", Short: "send a container a signal"},
		Disabled: containerDisabled(running), Measured: true,
		Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "signal", Label: "Signal", Hint: "KILL ends it at once, TERM asks it to end, HUP often reloads; a name or a number", Default: "KILL", Required: true}}
		},
	},
	{Kind: ContainerPause, Verb: "pause", Past: "paused", Noun: "container", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "containers pause CONTAINER", Short: "freeze a container"},
		Disabled: containerDisabled(func(c *Container) string {
			if c.State != "running" {
				return "it is not running: it is " + c.State
			}
			return ""
		}), Measured: true},
	{Kind: ContainerUnpause, Verb: "unpause", Past: "unpaused", Noun: "container", Section: SectionContainers, Risk: Safe, CLI: CLI{Use: "containers unpause CONTAINER", Short: "let a paused container go on"},
		Disabled: containerDisabled(func(c *Container) string {
			if c.State != "paused" {
				return "it is not paused: it is " + c.State
			}
			return ""
		}), Measured: true},
	{Kind: ContainerUpdate, Verb: "change", Past: "changed", Noun: "limits", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "containers update CONTAINER", Short: "change memory, CPUs and restart policy in place", Flags: limitFlags},
		Disabled: containerDisabled(func(c *Container) string {
			switch {
			case c.State == "removing" || c.State == "dead":
				return "it is " + c.State
			case !c.Limits.Known:
				return "its limits have not been read yet"
			}
			return ""
		}), Fields: limitsFields, Measured: true},
	{Kind: ContainerRename, Verb: "rename", Past: "renamed", Noun: "container", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "containers rename CONTAINER NAME", Short: "rename a container", Keys: []string{"name"}}, Single: true,
		Disabled: containerDisabled(func(c *Container) string {
			if c.State == "removing" || c.State == "dead" {
				return "it is " + c.State
			}
			return ""
		}), Impact: func(s *Snapshot, t string) []string {
			c := s.Containers.Container(t)
			if c == nil {
				return nil
			}
			out := []string{"others find it under its new name at once, and no longer under " + c.Title}
			if c.Project != "" {
				out = append(out, fmt.Sprintf("compose still knows it as service %s of project %s", c.Service, c.Project))
			}
			return append(out, LastDone(s, c.Target())...)
		}, Fields: func(_ *Snapshot, t string) []Field {
			return []Field{{Key: "name", Label: "New name", Hint: "letters, digits, _ . and -, at least two", Default: t, Required: true}}
		}, Check: func(s *Snapshot, t string, args map[string]string) string {
			name := args["name"]
			c := s.Containers.Container(t)
			switch {
			case !containerName.MatchString(name):
				return fmt.Sprintf("%q is not a name: expected letters, digits, _ . and -, at least two of them", name)
			case c != nil && c.Title == name:
				return "that is its name already"
			}
			for _, o := range s.Containers.List {
				if o.Title == name {
					return name + " is another container's name"
				}
			}
			return ""
		}},
	{Kind: ContainerRemove, Verb: "remove", Past: "removed", Noun: "container", Section: SectionContainers, Risk: Typed, CLI: CLI{Use: "containers remove CONTAINER", Short: "remove a container that is stopped"},
		Disabled: containerDisabled(func(c *Container) string {
			switch c.State {
			case "running", "paused", "restarting":
				return "it is " + c.State + ": stop it first"
			case "removing":
				return "it is being removed"
			}
			return ""
		}), Impact: says("what it wrote outside its volumes is lost"), Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "volumes", Label: "Volumes too", Hint: "yes also removes its volumes that have no name, with their data", Default: "no"}}
		}},
	{Kind: ContainerPrune, Verb: "prune", Past: "pruned", Noun: "unused", Section: SectionContainers, Risk: Typed, CLI: CLI{Use: "containers prune", Short: "show what nothing uses; --yes removes it"}, Global: "engine", Long: true,
		Disabled: func(s *Snapshot, _ string) string {
			if !s.Containers.Health.Known() {
				return "the container engine does not answer"
			}
			return ""
		}, Impact: func(s *Snapshot, t string) []string {
			return append(s.Containers.Reclaim.Lines(), LastDone(s, t)...)
		}, Fields: func(*Snapshot, string) []Field {
			return []Field{
				{Key: "containers", Label: "Containers", Hint: "yes removes all that are stopped", Default: "yes"},
				{Key: "images", Label: "Images", Hint: "yes removes those that have no name and no container", Default: "yes"},
				{Key: "networks", Label: "Networks", Hint: "yes removes those that no container is in", Default: "yes"},
				{Key: "cache", Label: "Build cache", Hint: "yes removes what no build uses", Default: "yes"},
				{Key: "volumes", Label: "Volumes", Hint: "no, yes for unused ones without a name, all for named ones too, with their data", Default: "no"},
			}
		}},
	// What a shell, exec or cp does goes by the terminal, not by the engine behind the
	// screen: this leaves its trail in the journal.
	{Kind: ContainerNote, Verb: "note", Past: "noted", Noun: "what is done in a container", Section: SectionContainers, Risk: Safe, Hidden: true,
		Disabled: containerDisabled(func(*Container) string { return "" }),
		Check: func(_ *Snapshot, _ string, args map[string]string) string {
			if args["what"] == "" || len(args["what"]) > 500 {
				return "what: 1 to 500 bytes that say what was done"
			}
			return ""
		}},
}

var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// running returns why a container has nothing to end; "" where it has.
func running(c *Container) string {
	if c.State != "running" && c.State != "paused" && c.State != "restarting" {
		return "it is not running: it is " + c.State
	}
	return ""
}

func containerDisabled(f func(*Container) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		if !s.Containers.Health.Known() {
			return "the container engine does not answer"
		}
		c := s.Containers.Container(t)
		if c == nil {
			return notFound("container", t)
		}
		if h := s.Containers.HostOf(c); h != nil && h.Health.Status != OK {
			return fmt.Sprintf("its host %s does not answer", h.Title)
		}
		return f(c)
	}
}

// limitFlags are the fields of limits as flags: what they are now is not known before.
var limitFlags = []Flag{
	{Key: "memory", Help: "such as 512m or 1.5g; empty leaves it as it is"},
	{Key: "cpus", Help: "cores, such as 0.5 or 2; empty leaves it as it is"},
	{Key: "restart", Help: "no, always, unless-stopped, on-failure or on-failure:5"},
}

func limitsFields(s *Snapshot, t string) []Field {
	c := s.Containers.Container(t)
	if c == nil {
		return nil
	}
	cpus := ""
	if c.Limits.CPUs > 0 {
		cpus = plain(c.Limits.CPUs)
	}
	return []Field{
		{Key: "memory", Label: "Memory", Hint: "such as 512m or 1.5g; empty leaves it as it is", Default: FormatBytes(c.Limits.Memory)},
		{Key: "cpus", Label: "CPUs", Hint: "cores, such as 0.5 or 2; empty leaves it as it is", Default: cpus},
		{Key: "restart", Label: "Restart policy", Hint: "no, always, unless-stopped, on-failure or on-failure:5", Default: c.Limits.Restart},
	}
}
