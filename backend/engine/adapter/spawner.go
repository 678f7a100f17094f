package adapter

import (
	"os/exec"
	"runtime"
)

// spawner starts processes from one thread that lives as long as it does. Linux
// sends a child its parent-death signal when the thread that started it ends,
// which a thread of the Go runtime may do at any time.
type spawner struct {
	jobs chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func()), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	runtime.LockOSThread()
	if onMainThread() { // which ends with the process alone: held here, so that another is taken
		defer runtime.UnlockOSThread()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.run()
		}()
		<-ended
		return
	}
	defer close(s.done)
	withoutPrivileges()
	for f := range s.jobs {
		f()
	}
}

func (s *spawner) start(cmd *exec.Cmd) error {
	res := make(chan error, 1)
	s.jobs <- func() { res <- cmd.Start() }
	return <-res
}

// stop ends the thread; every child must have ended before.
func (s *spawner) stop() {
	close(s.jobs)
	<-s.done
}
