package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// windowSizes gives the terminal's columns and rows, now and whenever they change,
// until stop is called.
func windowSizes(fd int) (sizes <-chan [2]uint16, stop func()) {
	out := make(chan [2]uint16, 1)
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGWINCH)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if w, h, err := term.GetSize(fd); err == nil {
				select {
				case out <- [2]uint16{uint16(w), uint16(h)}:
				case <-quit:
					return
				}
			}
			select {
			case <-sig:
			case <-quit:
				return
			}
		}
	}()
	return out, func() { signal.Stop(sig); close(quit); <-done }
}
