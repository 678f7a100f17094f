package adapter

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// yields is how much lower than the engine's the priority of its adapters is.
	yields = 5
	// lowest is the priority of an adapter that takes much of the processor.
	lowest = 19
	// greedy is the processor time that an adapter may take before its priority is
	// lowered, where that is a quarter of a core and more.
	greedy = 200 * time.Millisecond
	// frugal is below how much processor time a fetch makes the next one go ahead of
	// others, and ahead for how long at most.
	frugal, ahead = 5 * time.Millisecond, 25 * time.Millisecond
)

// processors are those that the engine may use.
var processors = sync.OnceValue(func() (list []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for i := range len(set) * strconv.IntSize {
		if set.IsSet(i) {
			list = append(list, i)
		}
	}
	return list
})

// adapterProcessors returns those that adapters run on: all but the first, which is left
// to the engine and the rest of the host, so that neither waits for an adapter. They
// are nil, for all, where there is one only.
func adapterProcessors() []int {
	if list := processors(); len(list) > 1 {
		return list[1:]
	}
	return nil
}

// runOn has a process, not what it started, run on some of the host's processors.
func runOn(pid int, list []int) {
	if len(list) == 0 {
		return
	}
	var set unix.CPUSet
	for _, n := range list {
		set.Set(n)
	}
	_ = unix.SchedSetaffinity(pid, &set)
}

// aheadPlaces returns how many adapters may be ahead at once: with one processor left to the
// engine and everybody else, they can hold up nobody.
func aheadPlaces() int { return max(0, runtime.NumCPU()-1) }

// share is what one adapter, with all that it started, takes of the processor. Its
// time is divided into phases: loading, a fetch, and between fetches.
type share struct {
	mu    sync.Mutex
	busy  bool          // something is asked of it
	since time.Time     // the phase began
	base  time.Duration // what it had taken then
	total time.Duration // what it had taken as last counted
	at    time.Time     // it was last counted
	low   bool          // it has the lowest priority
	// idle is how long it was counted between fetches, and idled what it took then.
	idle, idled time.Duration
	// frugal says that its last fetch was, and ahead ends its being ahead of others.
	frugal bool
	ahead  *time.Timer
}

// turn begins a phase of the process. It is ahead of others while it is busy, where
// it was frugal and places has room.
func (s *share) turn(pid int, busy bool, places chan struct{}) {
	now, used := time.Now(), clock(pid)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fallBack(pid, places)
	if !busy {
		s.frugal = !s.low && used-s.base < frugal
	}
	s.busy, s.since, s.base = busy, now, max(s.total, used)
	if busy && s.frugal {
		s.goAhead(pid, places)
	}
}

// goAhead has the kernel run the process before all that share the processor by
// priority: however little they are given, each may keep it for milliseconds. What
// the process starts is not ahead. Where the engine may not do that (CAP_SYS_NICE,
// or no real time in its control group: sched(7)), the process stays as it is.
func (s *share) goAhead(pid int, places chan struct{}) {
	select {
	case places <- struct{}{}:
	default:
		return
	}
	if unix.SchedSetAttr(pid, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0) != nil {
		runOn(pid, processors())
	}
	s.ahead = time.AfterFunc(ahead, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fallBack(pid, places)
	})
}

// fallBack ends goAhead.
func (s *share) fallBack(pid int, places chan struct{}) {
	if s.ahead == nil {
		return
	}
	s.ahead.Stop()
	s.ahead = nil
	nice := adapterPriority()
	if s.low {
		nice = lowest
	}
	_ = unix.SchedSetAttr(pid, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: int32(nice)}, 0)
	runOn(pid, adapterProcessors())
	<-places
}

// clock returns the processor time that one process has taken.
func clock(pid int) time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(int32(^pid<<3|2), &t) != nil { // as clock_getcpuclockid(3) makes it
		return 0
	}
	return time.Duration(t.Nano())
}

// count takes note of what the family has taken, and that it gets the lowest priority
// where that is much. It returns how many percent of a core it used for window while
// nothing was asked of it, 0 where that is no more than half of one.
func (s *share) count(now time.Time, total, window time.Duration) (percent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		return 0
	}
	if !s.busy {
		from, had := s.at, s.total
		if s.since.After(from) {
			from, had = s.since, s.base
		}
		s.idle += now.Sub(from)
		s.idled += max(0, total-had)
		if s.idle >= window {
			if 2*s.idled > s.idle {
				percent = int(100 * s.idled / s.idle)
			}
			s.idle, s.idled = 0, 0
		}
	}
	s.total, s.at = total, now
	took := total - s.base
	if took > greedy && 4*took > now.Sub(s.since) {
		s.low = true
	}
	return percent
}

// isLow reports whether it has the lowest priority.
func (s *share) isLow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.low
}

// Lower gives the process and all below it the lowest priority.
func (r *Runner) Lower() {
	r.share.mu.Lock()
	defer r.share.mu.Unlock()
	r.share.low = true
	r.share.hold(r.kin())
}

// Lift gives the priority back to a process that has the lowest, with all below it.
// It fails where the engine may not do that.
func (r *Runner) Lift() error {
	r.share.mu.Lock()
	defer r.share.mu.Unlock()
	if !r.share.low {
		return nil
	}
	r.share.low = false
	return prioritize(r.kin(), adapterPriority())
}

// kin returns the process with all below it.
func (r *Runner) kin() []proc {
	list := procs()
	i := slices.IndexFunc(list, func(p proc) bool { return p.pid == r.pid() })
	if i < 0 {
		return nil
	}
	return family(byParent(list), list[i])
}

// yield has what the process started since it got the lowest priority have it too.
func (s *share) yield(kin []proc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.low {
		s.hold(kin)
	}
}

// hold gives the lowest priority to processes of an adapter, and keeps them off the
// engine's processor, whatever they chose for themselves.
func (*share) hold(kin []proc) {
	_ = prioritize(kin, lowest)
	for _, p := range kin {
		runOn(p.pid, adapterProcessors())
	}
}

// adapterPriority returns the nice value of adapters.
func adapterPriority() int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return yields
	}
	return min(20-n+yields, lowest-1) // the system call gives 20 less the value
}

// prioritize gives an adapter's processes a nice value. The kernel shares the
// processor among sessions first where it makes groups of them (sched(7),
// "autogroup"): then each session's own value counts.
func prioritize(kin []proc, nice int) error {
	session, _ := unix.Getsid(0)
	own := unix.Getpgrp()
	var sessions, groups []int
	var errs []error
	for _, p := range kin {
		if p.session != session && !slices.Contains(sessions, p.session) {
			sessions = append(sessions, p.session)
			if f, err := os.OpenFile("/proc/"+strconv.Itoa(p.pid)+"/autogroup", os.O_WRONLY, 0); err == nil {
				_, _ = f.WriteString(strconv.Itoa(nice))
				_ = f.Close()
			}
		}
		if p.group != own && !slices.Contains(groups, p.group) {
			groups = append(groups, p.group)
			if err := unix.Setpriority(unix.PRIO_PGRP, p.group, nice); err != nil && !errors.Is(err, unix.ESRCH) {
				errs = append(errs, fmt.Errorf("priority of process group %d: %w", p.group, err))
			}
		}
	}
	return errors.Join(errs...)
}
