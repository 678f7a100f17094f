package state

// The kinds of action on logs.
const (
	LogRotate Kind = "log.rotate"
)

var logSpecs = []Spec{
	{Kind: LogRotate, Key: "T", Verb: "rotate", Past: "rotated", Noun: "log file", Section: SectionLogs, Risk: Confirm,
		Disabled: func(s *Snapshot, t string) string {
			l := s.Logs.Source(t)
			switch {
			case l == nil:
				return notFound("log source", t)
			case l.Kind != "file":
				return "it is a container's log: the container engine rotates it (log-opt max-size)"
			case l.Err != "":
				return l.Err
			case l.Rotation == "":
				return "it cannot be rotated"
			}
			return ""
		}, Impact: func(s *Snapshot, t string) []string {
			if l := s.Logs.Source(t); l != nil {
				return []string{l.Rotation}
			}
			return nil
		}},
}
