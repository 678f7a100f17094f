//go:build !linux

package adapter

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// Forks: a process that links the system's frameworks may not go on after a fork
// without an exec, so that each adapter has an interpreter of its own.
const Forks = false

// ownGroup puts the child into a process group of its own. Where the engine is
// killed, the child ends by itself when its input does.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// onMainThread matters only where threads' ends are told to children.
func onMainThread() bool { return false }

func withoutPrivileges() {}

func packets() (*net.UnixConn, *os.File, error) { return nil, nil, errors.ErrUnsupported }

// confine: Python adapters limit themselves before they load anything; others run
// under the limits of the engine.
func confine(int, spawn) {}

func killBelow(int) {}

func killMarked(string) {}

func (l *Launcher) watch(ctx context.Context) { <-ctx.Done() }

// share is not known of here: the system's own scheduler is trusted.
type share struct{}

func aheadPlaces() int { return 0 }

func (*share) turn(int, bool, chan struct{}) {}

func (*share) isLow() bool { return false }

func (*Runner) Lower() {}

func (*Runner) Lift() error { return nil }

func hostTasks() (all, wanting int) { return 0, 0 }

func adapterPriority() int { return 5 }

func adapterProcessors() []int { return nil }
