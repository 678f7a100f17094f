//go:build !linux

package engine

import "syscall"

// ownGroup puts the child into a process group of its own. Where the engine is
// killed, the child ends by itself when its input does.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// onMainThread matters only where threads' ends are told to children.
func onMainThread() bool { return false }
