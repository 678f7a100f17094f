//go:build !linux

package engine

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// forks: a process that links the system's frameworks may not go on after a fork
// without an exec, so that each adapter has an interpreter of its own.
const forks = false

// ownGroup puts the child into a process group of its own. Where the engine is
// killed, the child ends by itself when its input does.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// onMainThread matters only where threads' ends are told to children.
func onMainThread() bool { return false }

func withoutPrivileges() {}

func packets() (*net.UnixConn, *os.File, error) { return nil, nil, errors.ErrUnsupported }

// confine: Python adapters limit themselves before they load anything; others run
// under the limits of the engine.
func confine(int, want) {}

func killBelow(int) {}

func killMarked(string) {}

func (l *launcher) watch(ctx context.Context) { <-ctx.Done() }

// share is not known of here: the system's own scheduler is trusted.
type share struct{}

func places() int { return 0 }

func (*share) turn(int, bool, chan struct{}) {}

func (*share) isLow() bool { return false }

func (*runner) lower() {}

func (*runner) lift() error { return nil }

func hostTasks() (all, wanting int) { return 0, 0 }

func adapterPriority() int { return 5 }

func adapterProcessors() []int { return nil }
