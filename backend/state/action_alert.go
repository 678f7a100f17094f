package state

// The kinds of action on alerts and their rules.
const (
	RulesReload    Kind = "rules.reload"
	AlertAck       Kind = "alert.ack"
	AlertUnack     Kind = "alert.unack"
	AlertSilence   Kind = "alert.silence"
	AlertUnsilence Kind = "alert.unsilence"
)

var alertSpecs = []Spec{
	{Kind: RulesReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "rule files", Section: SectionAlerts, Risk: Safe, CLI: CLI{Use: "rules reload", Short: "read the rule files again"}, Global: "rules"},
	{Kind: AlertAck, Key: "A", Verb: "acknowledge", Past: "acknowledged", Noun: "alert", Section: SectionAlerts, Risk: Safe, CLI: CLI{Use: "alerts ack ALERT", Short: "acknowledge an alert"},
		Disabled: alertDisabled(func(a *Alert) string {
			switch {
			case a.State != AlertFiring && a.State != AlertPending:
				return "it is " + string(a.State) + ", not firing"
			case a.AckedBy != "":
				return "it is acknowledged already, by " + a.AckedBy
			}
			return ""
		})},
	{Kind: AlertUnack, Key: "A", Verb: "unacknowledge", Past: "unacknowledged", Noun: "alert", Section: SectionAlerts, Risk: Safe, CLI: CLI{Use: "alerts unack ALERT", Short: "unacknowledge an alert"},
		Disabled: alertDisabled(func(a *Alert) string {
			if a.AckedBy == "" {
				return "it is not acknowledged"
			}
			return ""
		})},
	{Kind: AlertSilence, Key: "M", Verb: "silence", Past: "silenced", Noun: "alert", Section: SectionAlerts, Risk: Confirm, CLI: CLI{Use: "alerts silence ALERT", Short: "silence an alert for a time",
		Flags: []Flag{{Name: "for", Key: "duration", Default: "1h", Help: "how long: 30m, 2h, 1d"}, {Key: "comment", Help: "what the next person should know"}}},
		Disabled: alertDisabled(func(a *Alert) string {
			if a.SilenceID != "" {
				return "it is silenced already, by " + a.SilencedBy
			}
			return ""
		}),
		Fields: func(*Snapshot, string) []Field {
			return []Field{
				{Key: "duration", Label: "For", Hint: "a duration such as 30m, 2h or 1d", Default: "1h", Required: true},
				{Key: "comment", Label: "Why", Hint: "what the next person should know"},
			}
		}},
	{Kind: AlertUnsilence, Key: "M", Verb: "unsilence", Past: "unsilenced", Noun: "alert", Section: SectionAlerts, Risk: Safe, CLI: CLI{Use: "alerts unsilence ALERT", Short: "unsilence an alert"},
		Disabled: alertDisabled(func(a *Alert) string {
			if a.SilenceID == "" {
				return "it is not silenced"
			}
			return ""
		})},
}

func alertDisabled(f func(*Alert) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		a := s.Alerts.Alert(t)
		if a == nil {
			return notFound("alert", t)
		}
		return f(a)
	}
}
