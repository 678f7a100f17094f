package views

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

type processCell = func(*pane.Env, *state.Process) (string, theme.Ink)

// NewHost makes the pane of the host: its figures over its processes.
func NewHost(env *pane.Env) pane.Pane {
	num := func(title string, w, rank int, get func(*state.Process) float64, show func(pane.Figures, float64) string) list.Column[state.Process] {
		return list.Column[state.Process]{Title: title, W: w, Right: true, Rank: rank,
			Cell: func(e *pane.Env, p *state.Process) (string, theme.Ink) {
				return show(pane.FiguresOf(e.Theme), get(p)), e.Theme.Text
			},
			Cmp: func(a, b *state.Process) int { return cmp.Compare(get(b), get(a)) }}
	}
	return list.New(env, list.Spec[state.Process]{
		Info: pane.Info{
			Name: "host", Title: "Host", Section: state.SectionHost,
			About: "The machine that the engine runs on: how much of it is used, and by which processes, where those listen (/ :8080 finds who has a port) and in which container they run. CPU of a process is of one core. Processes are read while this pane is shown, every 2 s.",
		},
		Order: "CPU/core",
		Cols: []list.Column[state.Process]{
			{Title: "PID", Num: func(_ *pane.Env, p *state.Process) float64 { return float64(p.PID) }, Unit: list.Number, W: 7, Right: true, Cell: func(e *pane.Env, p *state.Process) (string, theme.Ink) { return processID(e, p), e.Theme.Dim },
				Cmp: func(a, b *state.Process) int { return cmp.Compare(a.PID, b.PID) }},
			{Title: "Process", W: 16, Flex: 1, Cell: processName, Cmp: func(a, b *state.Process) int { return strings.Compare(a.Name, b.Name) }},
			num("CPU/core", 8, 0, func(p *state.Process) float64 { return p.CPUPercent }, pane.Figures.Percent),
			num("Memory", 9, 0, func(p *state.Process) float64 { return p.RSS }, pane.Figures.Bytes),
			{Title: "User", W: 9, Rank: 3, Cell: func(e *pane.Env, p *state.Process) (string, theme.Ink) { return p.User, e.Theme.Dim },
				Cmp: func(a, b *state.Process) int { return strings.Compare(a.User, b.User) }},
			{Title: "Listens", W: 18, Flex: 1, Rank: 1, Cell: func(e *pane.Env, p *state.Process) (string, theme.Ink) { return listens(p), e.Theme.Info },
				Cmp: func(a, b *state.Process) int { return cmp.Compare(len(b.Ports), len(a.Ports)) }},
			num("Threads", 7, 5, func(p *state.Process) float64 { return float64(p.Threads) }, pane.Figures.Count),
			{Title: "Up", W: 7, Right: true, Rank: 4, Cell: func(e *pane.Env, p *state.Process) (string, theme.Ink) {
				if p.Started.IsZero() {
					return e.Theme.Unknown, e.Theme.Dim
				}
				return pane.FiguresOf(e.Theme).Age(e.Now(), p.Started), e.Theme.Dim
			}, Cmp: func(a, b *state.Process) int { return b.Started.Compare(a.Started) }},
			{Title: "Command", W: 20, Flex: 4, Rank: 2, Cell: func(e *pane.Env, p *state.Process) (string, theme.Ink) { return p.Command, e.Theme.Dim },
				Cmp: func(a, b *state.Process) int { return strings.Compare(a.Command, b.Command) }},
		},
		Rows: func(s *state.Snapshot) []state.Process { return s.Host.Processes },
		ID: func(p *state.Process) string {
			return strconv.Itoa(p.PID) + p.Started.Truncate(time.Minute).Format(time.RFC3339) + strings.Join(p.Ports[:min(len(p.Ports), 1-min(p.PID, 1))], "")
		},
		Target: func(p *state.Process) string { return strconv.Itoa(p.PID) },
		Name:   func(p *state.Process) string { return p.Name },
		Fields: []list.Field[state.Process]{
			{Name: "cpu", Unit: list.Percent, Num: func(_ *pane.Env, p *state.Process) float64 { return p.CPUPercent }},
			{Name: "memory", Unit: list.Bytes, Num: func(_ *pane.Env, p *state.Process) float64 { return p.RSS }},
			{Name: "threads", Num: func(_ *pane.Env, p *state.Process) float64 { return float64(p.Threads) }},
			{Name: "state", Whole: true, Text: func(p *state.Process) string { return p.State }},
		},
		Text: func(p *state.Process) string {
			return strings.Join([]string{strconv.Itoa(p.PID), p.Name, p.User, p.Command, strings.Join(p.Ports, " "), p.Container, p.State}, " ")
		},
		Health: func(s *state.Snapshot) state.Health { return s.Host.Health },
		Deps:   []state.SectionName{state.SectionHost, state.SectionContainers},
		Head:   hostHead,
		Empty: func(s *state.Snapshot) string {
			if s.Host.Hidden != "" {
				return s.Host.Hidden
			}
			return "reading the processes"
		},
		Summary: hostSummary,
		Tabs:    []list.Tab[state.Process]{{Title: "Overview", Draw: processOverview}},
		Watch:   state.Interests{{Topic: state.LookProcesses}},
	})
}

func processID(e *pane.Env, p *state.Process) string {
	if p.PID == 0 {
		return e.Theme.Unknown
	}
	return strconv.Itoa(p.PID)
}

var processName processCell = func(e *pane.Env, p *state.Process) (string, theme.Ink) {
	t := e.Theme
	switch p.State {
	case "Z":
		return t.Caution + " " + p.Name + " (zombie)", t.Warn
	case "D":
		return t.Caution + " " + p.Name + " (waits for a disk)", t.Warn
	case "T", "t":
		return p.Name + " (stopped)", t.Dim
	}
	return p.Name, t.Text
}

// listens returns the ports alone, each once.
func listens(p *state.Process) string {
	var out []string
	for _, at := range p.Ports {
		i := strings.LastIndexByte(at, ':')
		port := at[i:]
		if strings.HasPrefix(at, "udp") {
			port += "/udp"
		}
		if !strings.Contains(" "+strings.Join(out, " ")+" ", " "+port+" ") {
			out = append(out, port)
		}
	}
	return strings.Join(out, " ")
}

// hostHead returns the host itself: a line for the processor and memory, one for each disk,
// one for the network.
func hostHead(e *pane.Env, s *state.Snapshot, w, h int) []string {
	t, f, x := e.Theme, pane.FiguresOf(e.Theme), &s.Host
	if !x.Health.Known() || h < 8 {
		return nil
	}
	var out []string
	line := func(label string) *pane.Line { return pane.NewLine(t, w, false).Gap(2).Col(t.Faint, label, 9, false) }
	l := line("CPU").Put(inkOver(t, x.CPUPercent, 80, 95), f.Percent(x.CPUPercent)+" of "+state.Plural(x.Cores, "core")).Gap(1)
	if w >= 60 {
		l.Put(t.Info, pane.Spark(t, x.CPUHistory, 20, 100)).Gap(1)
	}
	load := t.Text
	if x.Load1 > 2*float64(x.Cores) {
		load = t.Warn
	}
	l.Put(load, fmt.Sprintf(" load %.2f %.2f %.2f", x.Load1, x.Load5, x.Load15))
	if x.Tasks >= 0 {
		l.Put(t.Dim, "  "+f.Count(x.Tasks)+" tasks")
	}
	out = append(out, l.String())
	used := -1.0
	if x.MemTotal > 0 && x.MemUsed >= 0 {
		used = 100 * x.MemUsed / x.MemTotal
	}
	l = line("Memory").Put(inkOver(t, used, 85, 95), f.Bytes(x.MemUsed)+" of "+f.Bytes(x.MemTotal)+", "+f.Percent(used))
	if x.SwapTotal > 0 {
		l.Put(inkOver(t, 100*x.SwapUsed/x.SwapTotal, 50, 90), "  swap "+f.Bytes(x.SwapUsed)+" of "+f.Bytes(x.SwapTotal))
	} else if x.SwapTotal == 0 {
		l.Put(t.Dim, "  no swap")
	}
	if x.FilesMax > 0 && x.Files > x.FilesMax/2 {
		l.Put(t.Warn, "  "+t.Caution+" "+f.Count(x.Files)+" of "+f.Count(x.FilesMax)+" open files")
	}
	out = append(out, l.String())
	room := max(1, min(4, h-8))
	for i, d := range x.Disks {
		if i == room {
			out = append(out, line("").Put(t.Dim, "and "+state.Plural(len(x.Disks)-i, "more disk")).String())
			break
		}
		out = append(out, hostDisk(e, line("Disk"), d).String())
	}
	if len(x.Nets) > 0 || x.Uptime >= 0 {
		l = line("Network")
		for i, n := range x.Nets {
			if i < 3 {
				l.Put(t.Text, n.Name).Put(t.Dim, " in "+f.Rate(n.RxRate)+" out "+f.Rate(n.TxRate)+"  ")
			}
		}
		out = append(out, l.String())
		l = line("Clock")
		switch {
		case x.ClockSet:
			l.Put(t.Text, "kept right, within "+f.Millis(1000*x.ClockErr))
		case x.ClockErr < 0 && strings.Contains(x.OS, "macOS"):
			l.Put(t.Dim, "unknown here")
		default:
			l.Put(t.Warn, t.Caution+" clock not synchronised: run an NTP client")
		}
		out = append(out, l.Put(t.Dim, "  up "+f.Span(time.Duration(x.Uptime)*time.Second)+", "+x.OS).String())
	}
	return append(out, pane.NewLine(t, w, false).String())
}

func inkOver(t *theme.Theme, v, warn, bad float64) theme.Ink {
	switch {
	case v >= bad:
		return t.Bad
	case v >= warn:
		return t.Warn
	}
	return t.Text
}

func hostDisk(e *pane.Env, l *pane.Line, d state.Disk) *pane.Line {
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	used := 100 * (d.Total - d.Avail) / max(1, d.Total)
	l.Put(t.Text, d.Mount+" ").Put(inkOver(t, used, 85, 95), f.Percent(used)+" full").Put(t.Dim, ", "+f.Bytes(d.Avail)+" free of "+f.Bytes(d.Total))
	if d.Full >= 0 {
		ink := t.Text
		if d.Full < 24*time.Hour {
			ink = t.Bad
		}
		l.Put(ink, ", full in "+f.Span(d.Full)+" at this rate")
	}
	if d.Inodes > 0 && d.InodesFree < d.Inodes/10 {
		l.Put(t.Bad, ", "+t.Wrong+" only "+f.Count(d.InodesFree)+" inodes free")
	}
	if d.ReadOnly && d.Avail > 0 {
		l.Put(t.Warn, ", read-only")
	}
	return l
}

func hostSummary(e *pane.Env, s *state.Snapshot) []pane.Span {
	t, f, x := e.Theme, pane.FiguresOf(e.Theme), &s.Host
	if !x.Health.Known() {
		return nil
	}
	out := []pane.Span{{Ink: inkOver(t, x.CPUPercent, 80, 95), Text: "cpu " + f.Percent(x.CPUPercent)}}
	if x.MemTotal > 0 && x.MemUsed >= 0 {
		used := 100 * x.MemUsed / x.MemTotal
		out = append(out, pane.Span{Ink: inkOver(t, used, 85, 95), Text: "memory " + f.Percent(used)})
	}
	for _, d := range x.Disks {
		if d.Full >= 0 && d.Full < 24*time.Hour {
			out = append(out, pane.Span{Ink: t.Bad, Text: t.Wrong + " " + d.Mount + " full in " + f.Span(d.Full)})
		} else if d.Total > 0 && d.Avail < d.Total/20 {
			out = append(out, pane.Span{Ink: t.Bad, Text: t.Wrong + " " + d.Mount + " nearly full"})
		}
	}
	return out
}

func processOverview(d *pane.Doc, s *state.Snapshot, p *state.Process) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	d.KV("process", t.Text, processID(e, p)+" "+p.Name)
	d.KV("user", t.Text, p.User)
	d.KV("state", t.Text, map[string]string{"R": "running", "S": "sleeping", "D": "waiting for a disk or a mount, and cannot be killed", "Z": "a zombie: it has ended, and its parent has not taken note", "T": "stopped by a signal", "I": "an idle thread of the kernel"}[p.State])
	d.KV("command", t.Text, p.Command)
	d.KV("CPU", t.Text, f.Percent(p.CPUPercent)+" of one core; "+f.Span(time.Duration(p.CPUSeconds*float64(time.Second)))+" since it started")
	d.KV("memory", t.Text, f.Bytes(p.RSS)+" resident")
	d.KV("threads", t.Text, strconv.Itoa(p.Threads))
	if !p.Started.IsZero() {
		d.KV("started", t.Text, e.When(p.Started))
	}
	for i := range s.Host.Processes {
		if x := &s.Host.Processes[i]; x.PID == p.Parent && p.Parent > 0 {
			d.KV("parent", t.Text, fmt.Sprintf("%d %s", x.PID, x.Name))
		}
	}
	if p.Container != "" {
		name := p.Container[:min(12, len(p.Container))]
		if c := s.Containers.Container(p.Container); c != nil {
			name = c.Title
		}
		d.KV("container", t.Text, name)
	}
	for i, at := range p.Ports {
		label := ""
		if i == 0 {
			label = "listens on"
		}
		d.KV(label, t.Info, at)
	}
	d.KV("read", t.Dim, e.When(s.Host.Looked))
}
