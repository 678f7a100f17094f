package state

// The kinds of action on logs.
const (
	LogRotate  Kind = "log.rotate"
	LogClear   Kind = "log.clear"
	LogRestore Kind = "log.restore"
)

var logSpecs = []Spec{
	{Kind: LogRotate, Key: "T", Verb: "rotate", Past: "rotated", Noun: "log file", Section: SectionLogs, Risk: Confirm, CLI: CLI{Use: "logs rotate FILE", Short: "rotate a log file as the workspace file says"}, Long: true,
		Disabled: rotateDisabled, Impact: func(s *Snapshot, t string) []string {
			if l := s.Logs.Source(t); l != nil {
				return []string{l.Rotation}
			}
			return nil
		}},
	{Kind: LogClear, Verb: "clear", Past: "cleared", Noun: "log file", Section: SectionLogs, Risk: Confirm, CLI: CLI{Use: "logs clear FILE", Short: "rotate a log file away; undo puts it back until the next rotation"}, Long: true,
		Disabled: rotateDisabled, Impact: func(s *Snapshot, t string) []string {
			if l := s.Logs.Source(t); l != nil {
				return []string{l.Rotation, "undo puts it back in front of what is written from now on, until the next rotation"}
			}
			return nil
		}},
	{Kind: LogRestore, Verb: "put back", Past: "put back", Noun: "cleared log file", Section: SectionLogs, Risk: Confirm, Long: true, Hidden: true, Disabled: rotateDisabled},
}

func rotateDisabled(s *Snapshot, t string) string {
	l := s.Logs.Source(t)
	switch {
	case l == nil:
		return notFound("log source", t)
	case l.Kind == "remote":
		return "it is on another host: rotate it there"
	case l.Kind == "journal":
		return "journald rotates its journal (journalctl --rotate)"
	case l.Kind != "file":
		return "it is a container's log: the container engine rotates it (log-opt max-size)"
	case l.Err != "":
		return l.Err
	case l.Rotation == "":
		return "it cannot be rotated"
	}
	return ""
}
