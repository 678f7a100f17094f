package state

import "time"

// Phase is where a submitted action stands.
type Phase string

// Phases of an action. Queued, Begin, End and Interrupted are journalled.
const (
	PhaseQueued      Phase = "queued"
	PhaseBegin       Phase = "begin"
	PhaseEnd         Phase = "end"
	PhaseVerdict     Phase = "verdict"
	PhaseInterrupted Phase = "interrupted"
)

// Actions is the section of recent actions, newest first.
type Actions struct {
	Health Health     `json:"health"`
	List   []Progress `json:"list"`
}

// Progress is one submitted action and how far it came.
type Progress struct {
	ID     ActionID `json:"id"`
	Action Action   `json:"action"`
	// Status is "queued", "running", "done", "failed", "interrupted" or "refused".
	Status string `json:"status"`
	// Step says what it does now; Percent is 0 to 100, negative where unknown.
	Step    string  `json:"step,omitempty"`
	Percent float64 `json:"percent"`
	// Left is an estimate of the time that it still takes; 0 where there is none.
	Left time.Duration `json:"left,omitempty"`
	// Result is the result for people; Err what was tried, what happened, what to do.
	Result  string    `json:"result,omitempty"`
	Err     string    `json:"err,omitempty"`
	Queued  time.Time `json:"queued"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Verdict follows after a settling time for measured actions.
	Verdict *Verdict `json:"verdict,omitempty"`
	// Settling says until when the verdict is being watched for.
	Settling time.Time `json:"settling,omitzero"`
	// Undo is the action that undoes it; nil where there is none.
	Undo   *Action `json:"undo,omitempty"`
	Undone bool    `json:"undone,omitempty"`
}

// Done reports whether the action will not go on.
func (p Progress) Done() bool { return p.Status != "queued" && p.Status != "running" }

// Progress returns the action of that ID, or nil.
func (a Actions) Progress(id ActionID) *Progress {
	for i := range a.List {
		if a.List[i].ID == id {
			return &a.List[i]
		}
	}
	return nil
}

// Journal is the newest entries of the journal.
type Journal struct {
	Health  Health  `json:"health"`
	Entries []Entry `json:"entries"` // newest first
	// Broken says where the chain does not hold; "" when it does.
	Broken string `json:"broken,omitempty"`
}

// Entry is one line of the journal.
type Entry struct {
	Seq    uint64            `json:"seq"`
	At     time.Time         `json:"at"`
	Phase  Phase             `json:"phase"`
	Action ActionID          `json:"action"`
	Kind   Kind              `json:"kind"`
	Target string            `json:"target"`
	Args   map[string]string `json:"args,omitempty"`
	Actor  Actor             `json:"actor"`
	// Outcome is "ok", "failed" or "interrupted" at the end, a verdict's word after it.
	Outcome string `json:"outcome,omitempty"`
	// Detail is the result or the error.
	Detail string `json:"detail,omitempty"`
	// Prev and Hash chain the entries: Hash is SHA-256 over Prev and the entry, in hex.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}
