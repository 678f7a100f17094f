package host

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// ownersEvery is how often all descriptors are looked through for the owner of a
	// listening socket that is not known yet: that costs far more than all the rest.
	ownersEvery = 10 * time.Second
	maxCommand  = 512 // bytes of a command line
	// States in /proc/net/tcp and udp: TCP_LISTEN, and TCP_CLOSE, which a bound UDP
	// socket is in.
	listening, unconnected = "0A", "07"
)

// processes reads all processes. It is used by one goroutine at a time.
type processes struct {
	mask   func(string) string
	last   map[int]used
	at     time.Time
	users  map[uint32]string
	owners map[uint64]int // process by the inode of its listening socket
	sought time.Time
}

// used is the processor time of a process, which its start distinguishes from another with
// its number.
type used struct {
	started uint64
	seconds float64
}

func newProcesses(mask func(string) string) *processes {
	return &processes{mask: mask, last: map[int]used{}, users: map[uint32]string{}, owners: map[uint64]int{}}
}

// A command line names secrets as flags and assignments do.
var (
	secretArg = regexp.MustCompile(`(?i)^(-{0,2}[a-z0-9_.-]*(?:password|passwd|secret|token|api[_-]?key|private[_-]?key|credential)[a-z0-9_.-]*=)(.+)$`)
	secretFlg = regexp.MustCompile(`(?i)^-{1,2}[a-z0-9_.-]*(?:password|passwd|secret|token|api[_-]?key|private[_-]?key|credential)[a-z0-9_.-]*$`)
	userInfo  = regexp.MustCompile(`(://[^:/@\s]*:)[^@/\s]+@`)
	container = regexp.MustCompile(`[0-9a-f]{64}`)
)

// command returns a command line fit to be seen.
func (p *processes) command(args []string) string {
	out := make([]string, 0, len(args))
	for i, a := range args {
		switch {
		case i > 0 && secretFlg.MatchString(args[i-1]) && !strings.HasPrefix(a, "-"):
			a = "***"
		default:
			a = userInfo.ReplaceAllString(secretArg.ReplaceAllString(a, "${1}***"), "${1}***@")
		}
		out = append(out, a)
	}
	text := state.Clean(p.mask(strings.ReplaceAll(strings.Join(out, " "), "\n", " ")))
	if len(text) > maxCommand {
		text = strings.ToValidUTF8(text[:maxCommand], "") + "…"
	}
	return text
}

// read fills in the processes and where they listen.
func (p *processes) read(h *state.Host) {
	fs, err := procfs.NewFS("/proc")
	if err != nil {
		h.Hidden = err.Error()
		return
	}
	all, err := fs.AllProcs()
	if err != nil {
		h.Hidden = err.Error()
		return
	}
	now := time.Now()
	boot := now.Add(-time.Duration(h.Uptime * float64(time.Second)))
	next := make(map[int]used, len(all))
	for _, proc := range all {
		st, err := proc.Stat()
		if err != nil {
			continue // it has ended
		}
		secs := float64(st.UTime+st.STime) / userHz
		x := state.Process{PID: st.PID, Parent: st.PPID, Name: state.Clean(st.Comm), State: st.State, CPUPercent: -1, CPUSeconds: secs,
			RSS: float64(st.ResidentMemory()), Threads: st.NumThreads, User: p.userOf(st.PID),
			Started: boot.Add(time.Duration(float64(st.Starttime) / userHz * float64(time.Second)))}
		if was, ok := p.last[st.PID]; ok && was.started == st.Starttime {
			if d := now.Sub(p.at).Seconds(); d > 0 {
				x.CPUPercent = max(0, 100*(secs-was.seconds)/d)
			}
		}
		next[st.PID] = used{st.Starttime, secs}
		if args, err := proc.CmdLine(); err == nil {
			x.Command = p.command(args)
		}
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", st.PID)); err == nil {
			x.Container = string(container.Find(b))
		}
		h.Processes = append(h.Processes, x)
	}
	p.last, p.at, h.Looked = next, now, now
	p.ports(h, now)
}

func (p *processes) userOf(pid int) string {
	fi, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return ""
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	name, ok := p.users[st.Uid]
	if !ok {
		name = strconv.Itoa(int(st.Uid))
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
		p.users[st.Uid] = name
	}
	return name
}

// ports sets where each process listens. A socket whose owner is not visible, as a
// socket of the kernel or of another user's process, stands at a row without a
// process.
func (p *processes) ports(h *state.Host, now time.Time) {
	byInode := map[uint64]string{}
	for _, table := range []struct{ file, proto, state string }{
		{"tcp", "tcp", listening}, {"tcp6", "tcp", listening}, {"udp", "udp", unconnected}, {"udp6", "udp", unconnected},
	} {
		b, _ := os.ReadFile("/proc/net/" + table.file) // a host without IPv6 has no such table
		for line := range strings.Lines(string(b)) {
			if at, inode, ok := socket(line, table.state); ok {
				byInode[inode] = table.proto + " " + at
			}
		}
	}
	unknown := false
	for inode := range byInode {
		pid, ok := p.owners[inode]
		_, runs := p.last[pid]
		unknown = unknown || !ok || !runs
	}
	if unknown && now.Sub(p.sought) > ownersEvery {
		p.sought = now
		p.owners = owners(byInode)
	}
	at := make(map[int]int, len(h.Processes))
	for i := range h.Processes {
		at[h.Processes[i].PID] = i
	}
	for inode, where := range byInode {
		if i, ok := at[p.owners[inode]]; ok {
			h.Processes[i].Ports = append(h.Processes[i].Ports, where)
			continue
		}
		h.Processes = append(h.Processes, state.Process{Name: "?", State: "?", CPUPercent: -1, CPUSeconds: -1, RSS: -1, Ports: []string{where},
			Command: "owner not visible to this user: run opsdeck as root to see all"})
	}
	for i := range h.Processes {
		slices.Sort(h.Processes[i].Ports)
	}
}

// socket reads a line of /proc/net/tcp or its like (proc(5)): the local address of a
// socket in that state, and its inode. Addresses are 32-bit numbers in the order of
// the host's bytes, one or four of them.
func socket(line, state string) (at string, inode uint64, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != state {
		return "", 0, false
	}
	addr, port, _ := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(addr)
	n, err2 := strconv.ParseUint(port, 16, 16)
	inode, err3 := strconv.ParseUint(f[9], 10, 64)
	if err != nil || err2 != nil || err3 != nil || len(raw)%4 != 0 {
		return "", 0, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip, uint16(n)).String(), inode, ok
}

// owners finds the processes that hold the sockets.
func owners(sockets map[uint64]string) map[uint64]int {
	out := make(map[uint64]int, len(sockets))
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(strings.Split(dir, "/")[2])
		f, err := os.Open(dir)
		if err != nil {
			continue // another user's
		}
		names, _ := f.Readdirnames(-1)
		_ = f.Close()
		for _, name := range names {
			to, err := os.Readlink(dir + "/" + name)
			if err != nil || !strings.HasPrefix(to, "socket:[") {
				continue
			}
			inode, _ := strconv.ParseUint(strings.Trim(to, "socket:[]"), 10, 64)
			if _, wanted := sockets[inode]; wanted && out[inode] == 0 {
				out[inode] = pid
			}
		}
		if len(out) == len(sockets) {
			break
		}
	}
	return out
}
