package main

import (
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// userName returns who is at the keyboard, also behind sudo.
func userName() string {
	if u := os.Getenv("SUDO_USER"); u != "" {
		return state.Clean(u)
	}
	if u, err := user.Current(); err == nil {
		return state.Clean(u.Username)
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// me returns who runs this process, and from where.
func me(via string) state.Actor {
	a := state.Actor{User: userName(), Via: via}
	if tty, err := os.Readlink("/proc/self/fd/0"); err == nil && strings.HasPrefix(tty, "/dev/") && tty != "/dev/null" {
		a.From = strings.TrimPrefix(tty, "/dev/")
	}
	if c := strings.Fields(os.Getenv("SSH_CONNECTION")); len(c) > 0 {
		a.From = strings.TrimSpace(a.From + " from " + state.Clean(c[0]))
	}
	if a.From == "" {
		a.From = fmt.Sprintf("pid %d", os.Getppid())
	}
	return a
}
