package adapter

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Forks says that adapters are forked from a fork server.
const Forks = true

// ownGroup puts the child into a session of its own, and with that into a process
// group, and has the kernel kill it when the thread that started it ends: see
// [spawner].
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// onMainThread reports whether the calling thread is the process's first.
func onMainThread() bool { return syscall.Gettid() == syscall.Getpid() }

// withoutPrivileges has the calling thread, and all that it starts, gain no
// privileges by starting a program.
func withoutPrivileges() { _ = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }

// packets returns a pair of connected sockets that keep messages apart.
func packets() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	mine, theirs := os.NewFile(uintptr(fds[0]), "forkserver"), os.NewFile(uintptr(fds[1]), "forkserver")
	defer mine.Close() // net has its own
	c, err := net.FileConn(mine)
	if err != nil {
		return nil, nil, fmt.Errorf("forkserver: %w", err)
	}
	return c.(*net.UnixConn), theirs, nil
}

// confine sets limits on a process that has just started. What the system refuses
// is watched all the same.
func confine(pid int, w spawn) {
	runOn(pid, w.Processors)
	_ = prioritize([]proc{{pid: pid, group: pid, session: pid}}, w.Nice)
	for _, r := range []struct {
		which int
		value int64
	}{
		{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_NOFILE, w.Files}, {unix.RLIMIT_FSIZE, w.Size},
		{unix.RLIMIT_DATA, w.Memory}, {unix.RLIMIT_AS, w.Space}, {unix.RLIMIT_NPROC, w.Tasks},
	} {
		if r.which == unix.RLIMIT_NPROC && r.value == 0 {
			continue
		}
		var now unix.Rlimit
		if unix.Prlimit(pid, r.which, nil, &now) != nil {
			continue
		}
		v := min(uint64(r.value), now.Max)
		_ = unix.Prlimit(pid, r.which, &unix.Rlimit{Cur: v, Max: v}, nil)
	}
}

// proc is one process as /proc tells of it.
type proc struct {
	pid, parent, group, session, threads int
	resident                             int64         // bytes, shared ones too
	used                                 time.Duration // of the processor, with its children that have ended
}

// tick is the unit of processor times in /proc: sysconf(_SC_CLK_TCK), which is 100 on
// every architecture that Go runs on.
const tick = time.Second / 100

// procs returns all processes. Those that end meanwhile are left out.
func procs() []proc {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var out []proc
	buf := make([]byte, 1024)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		n, err := slurp("/proc/"+name+"/stat", buf)
		if err != nil {
			continue
		}
		// The name, in brackets, may hold anything: fields count from behind it.
		f := bytes.Fields(buf[bytes.LastIndexByte(buf[:n], ')')+1 : n])
		if len(f) < 22 {
			continue
		}
		p := proc{pid: pid}
		p.parent, _ = strconv.Atoi(string(f[1]))
		p.group, _ = strconv.Atoi(string(f[2]))
		p.session, _ = strconv.Atoi(string(f[3]))
		p.threads, _ = strconv.Atoi(string(f[17]))
		for _, field := range f[11:15] {
			n, _ := strconv.ParseInt(string(field), 10, 64)
			p.used += time.Duration(n) * tick
		}
		pages, _ := strconv.ParseInt(string(f[21]), 10, 64)
		p.resident = pages * int64(os.Getpagesize())
		out = append(out, p)
	}
	return out
}

// slurp reads the beginning of a small file into buf.
func slurp(name string, buf []byte) (int, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.Read(fd, buf)
}

// family returns a process with all below it, itself first.
func family(all map[int][]proc, root proc) []proc {
	out := []proc{root}
	for i := 0; i < len(out); i++ {
		out = append(out, all[out[i].pid]...)
	}
	return out
}

func byParent(list []proc) map[int][]proc {
	m := make(map[int][]proc, len(list))
	for _, p := range list {
		m[p.parent] = append(m[p.parent], p)
	}
	return m
}

// maxRounds bounds how often a killer looks again for what was started meanwhile.
const maxRounds = 100

// killAll stops all processes that find gives until it gives no further ones, and
// kills them then: what is stopped starts nothing.
func killAll(find func() []int) {
	var stopped []int
	for range maxRounds {
		fresh := false
		for _, pid := range find() {
			if !slices.Contains(stopped, pid) {
				fresh = true
				stopped = append(stopped, pid)
				_ = unix.Kill(pid, unix.SIGSTOP)
			}
		}
		if !fresh {
			break
		}
	}
	for _, pid := range slices.Backward(stopped) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// killBelow kills a process and all below it.
func killBelow(pid int) {
	killAll(func() (out []int) {
		for _, p := range family(byParent(procs()), proc{pid: pid}) {
			out = append(out, p.pid)
		}
		return out
	})
}

// killMarked kills what was started with a temporary folder in dir, wherever it
// has gone since: the environment that a process was started with stays readable.
func killMarked(dir string) {
	mark := []byte("TMPDIR=" + dir)
	buf := make([]byte, 64<<10)
	killAll(func() (out []int) {
		for _, p := range procs() {
			if p.pid == os.Getpid() || p.pid == 1 {
				continue
			}
			n, err := slurp(filepath.Join("/proc", strconv.Itoa(p.pid), "environ"), buf)
			if err != nil {
				continue
			}
			for v := range bytes.SplitSeq(buf[:n], []byte{0}) {
				if rest, ok := bytes.CutPrefix(v, mark); ok && (len(rest) == 0 || rest[0] == '/') {
					out = append(out, p.pid)
					break
				}
			}
		}
		return out
	})
}

const (
	// glance is how often the number of tasks on the host is looked at while an adapter
	// is asked something, stray how often while adapters have nothing to do, and census
	// how often all tasks are; a jump of the first brings the last at once, and more of
	// them that want the processor than there are cores bring it soon.
	glance = 25 * time.Millisecond
	stray  = 200 * time.Millisecond
	census = time.Second
	soon   = 100 * time.Millisecond
	jump   = 32
)

// watch ends adapters that go over what no other limit holds: the number of
// processes, and the memory of all of them together.
func (l *Launcher) watch(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	var last time.Time
	tasks := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.stir:
		case <-t.C:
		}
		l.mu.Lock()
		n := len(l.runners)
		l.mu.Unlock()
		switch {
		case n == 0: // until one starts
			t.Stop()
			continue
		case l.asked.Load() > 0:
			t.Reset(glance)
		default:
			t.Reset(stray)
		}
		all, wanting := hostTasks()
		now := time.Now()
		since := now.Sub(last)
		if since < census && all < tasks+jump && (since < soon || wanting <= runtime.NumCPU()) {
			continue
		}
		last, tasks = now, all
		l.count()
	}
}

// hostTasks returns the processes and threads of the host, and how many of them run or
// wait for a processor; 0 where that is not known.
func hostTasks() (all, wanting int) {
	buf := make([]byte, 128)
	n, err := slurp("/proc/loadavg", buf)
	if err != nil {
		return 0, 0
	}
	if f := bytes.Fields(buf[:n]); len(f) > 3 {
		some, total, _ := strings.Cut(string(f[3]), "/")
		all, _ = strconv.Atoi(total)
		wanting, _ = strconv.Atoi(some)
	}
	return all, wanting
}

// count takes a census of all adapters.
func (l *Launcher) count() {
	now := time.Now()
	list := procs()
	below := byParent(list)
	own := make(map[int]proc, len(list))
	for _, p := range list {
		own[p.pid] = p
	}
	l.mu.Lock()
	runners := make([]*Runner, 0, len(l.runners))
	for r := range l.runners {
		runners = append(runners, r)
	}
	l.mu.Unlock()
	for _, r := range runners {
		root, ok := own[r.pid()]
		if !ok {
			continue
		}
		var threads int
		var bytes int64
		var used time.Duration
		kin := family(below, root)
		for _, p := range kin {
			threads += p.threads
			bytes += p.resident
			used += p.used
		}
		if bytes > r.limits.Memory && l.weighing.CompareAndSwap(false, true) {
			// On its own: it waits for locks that a process which forks keeps taking.
			l.wg.Go(func() {
				defer l.weighing.Store(false)
				if proportional(kin) > r.limits.Memory {
					r.condemn(overMemory(r.limits, "with all that it started"))
				}
			})
		}
		percent := r.share.count(now, used, l.idle)
		switch {
		case len(kin) > maxProcesses:
			r.condemn(&Failure{Stage: "limit", Text: fmt.Sprintf("its adapter started more than %d processes", maxProcesses)})
		case threads > maxThreads:
			r.condemn(&Failure{Stage: "limit", Text: fmt.Sprintf("its adapter started more than %d threads", maxThreads)})
		case percent > 0:
			r.condemn(&Failure{Stage: StageIdle, Text: fmt.Sprintf("its adapter used %d %% of a core for %s while nothing was asked of it", percent, l.idle)})
		default: // one that is to end needs the processor for that
			r.share.yield(kin)
		}
	}
}

// proportional returns the memory of some processes in bytes, shared pages counted once.
func proportional(list []proc) (sum int64) {
	buf := make([]byte, 4096)
	for _, p := range list {
		n, err := slurp("/proc/"+strconv.Itoa(p.pid)+"/smaps_rollup", buf)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(buf[:n])) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
				sum += kb << 10
			}
		}
	}
	return sum
}
