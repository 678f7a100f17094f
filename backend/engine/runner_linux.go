package engine

import "syscall"

// ownGroup puts the child into a process group of its own, and has the kernel
// kill it when the thread that started it ends: see [spawner].
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// onMainThread reports whether the calling thread is the process's first.
func onMainThread() bool { return syscall.Gettid() == syscall.Getpid() }
