package logcmd

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// Exit codes, as every command has them.
const (
	exitFailed = 1 // what was asked for was tried and failed, or found nothing
	exitUsage  = 2 // the command line is wrong
	// exitInterrupted is what a shell says of a program that ctrl-c ended.
	exitInterrupted = 130
)

// ExitError ends the program with a code, after its message, where Err is not nil.
type ExitError struct {
	Code int
	Err  error
}

// Error implements error.
func (e ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the reason, nil where the code says it all.
func (e ExitError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error {
	return ExitError{exitUsage, fmt.Errorf(format, args...)}
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
