package state

import (
	"context"
	"errors"
)

// Source writes sections. The hub runs it, restarts it with backoff when it
// fails, and keeps the health of its sections.
type Source interface {
	// Name is the source's name, for logs and errors.
	Name() string
	// Sections are those that it alone writes.
	Sections() []SectionName
	// Run puts sections until ctx ends or it fails. It returns promptly when ctx
	// ends and leaves no goroutine, process or descriptor behind. It may be run
	// again. What is put must never be written again. An error made by [Absence]
	// says that there is nothing of this kind, which is not a failure.
	Run(ctx context.Context, put func(Section)) error
}

// Interested is a Source that fetches some data only while a console shows it.
type Interested interface {
	// Interest tells what is being looked at now. It does not block.
	Interest(Interests)
}

// Executor carries out actions on its own targets.
type Executor interface {
	// Kinds are the actions that it, alone, carries out.
	Kinds() []Kind
	// Execute does it and returns when it is done. progress may be called at any
	// time with a step and a percentage (negative where unknown). The error says
	// what was tried, what happened and what to do.
	Execute(ctx context.Context, a Action, progress func(step string, percent float64)) (Outcome, error)
}

// Flusher is an Executor that may know of more than it has put.
type Flusher interface {
	// Flush puts all that it knows now, and returns when it has.
	Flush(ctx context.Context)
}

// Outcome is the result of an action.
type Outcome struct {
	// Result is one line for people.
	Result string
	// Undo would take the action back; nil where nothing would.
	Undo *Action
}

// ErrAbsent is wrapped by every error that means that there is nothing of a kind on the
// host, which is not a failure.
var ErrAbsent = errors.New("absent")

// absence is an error that wraps ErrAbsent and says what err says.
type absence struct{ error }

func (a absence) Unwrap() []error { return []error{a.error, ErrAbsent} }

// Absence returns err as one that wraps [ErrAbsent], so that the hub shows the section as
// absent and tries again only rarely.
func Absence(err error) error { return absence{err} }
