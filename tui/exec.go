package tui

import (
	"io"
	"reflect"
	"unsafe"

	tea "charm.land/bubbletea/v2"
)

// exec gives the terminal to a program until it ends, and tells done then.
func (m *Model) exec(c tea.ExecCommand, done tea.ExecCallback) tea.Cmd {
	return tea.Exec(handover{c, m.released}, done)
}

// handover is a program with what is done before it runs.
type handover struct {
	tea.ExecCommand
	before func()
}

// Run implements tea.ExecCommand.
func (h handover) Run() error {
	if h.before != nil {
		h.before()
	}
	return h.ExecCommand.Run()
}

// closeReader closes what a program read the terminal with, after it was told to give
// it away. Bubble Tea makes another when it takes the terminal back and forgets this
// one, which holds a descriptor: each shell would cost one.
func closeReader(p *tea.Program) {
	done, ok := field[chan struct{}](p, "readLoopDone")
	if !ok {
		return
	}
	select {
	case <-done:
		if r, ok := field[io.Closer](p, "cancelReader"); ok && r != nil {
			_ = r.Close()
		}
	default: // it still reads
	}
}

// field returns a program's own field, which it has no method for; false where there is no
// such field, as in another version.
func field[T any](p *tea.Program, name string) (value T, ok bool) {
	v := reflect.ValueOf(p).Elem().FieldByName(name)
	if !v.IsValid() {
		return value, false
	}
	value, ok = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem().Interface().(T)
	return value, ok
}
