package views

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/logs"
	"github.com/opsdeck/opsdeck/views/pane"
)

// signals are those that end containers, by number (signal(7), x86 and ARM).
var signals = map[int]string{1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
	10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS"}

// exitMeaning explains an exit code: what Docker and shells mean by it.
func exitMeaning(code int, oom bool) string {
	switch {
	case oom && code == 0:
		return "a process in it was killed because its memory ran out; the main one ended without error"
	case oom:
		return "its memory ran out, and the kernel killed it: raise the limit or find what grows"
	case code == 0:
		return "it ended by itself, without error"
	case code == 125:
		return "the engine could not start it"
	case code == 126:
		return "its command cannot be run: not executable, or no permission"
	case code == 127:
		return "its command was not found in the image"
	case code == 137:
		return "killed by SIGKILL, not by the kernel for its memory: docker kill, or it did not stop in time when asked"
	case code == 139:
		return "SIGSEGV: it crashed on memory that is not its own"
	case code == 143:
		return "ended by SIGTERM: somebody stopped it, and it did not catch that"
	case code == 255:
		return "exit code out of range, or the engine lost it"
	case code > 128 && signals[code-128] != "":
		return "ended by " + signals[code-128]
	}
	return "an error of its own: its last log lines say which"
}

// Near its limit is this share of it.
const nearLimit = 90

// nearMem, nearCPU and nearPIDs say that a container is near a limit of its own,
// "" if not. Memory that is the host's is the host's affair.
func nearMem(c *state.Container) string {
	if c.State == "running" && c.Limits.Memory > 0 && c.MemPercent >= nearLimit {
		return fmt.Sprintf("memory at %.0f%% of its limit: beyond it the kernel kills", c.MemPercent)
	}
	return ""
}

func nearCPU(c *state.Container) string {
	if c.State == "running" && c.Limits.CPUs > 0 && c.CPUPercent >= 100*c.Limits.CPUs*nearLimit/100 {
		return fmt.Sprintf("CPU at %.0f%% of its limit: it is slowed down", c.CPUPercent/c.Limits.CPUs)
	}
	return ""
}

func nearPIDs(c *state.Container) string {
	if c.State == "running" && c.PIDsLimit > 0 && c.PIDs >= c.PIDsLimit*nearLimit/100 {
		return fmt.Sprintf("%.0f of %.0f processes: beyond that none can be started", c.PIDs, c.PIDsLimit)
	}
	return ""
}

// loopWithin is how soon after its last start a container that was restarted still
// counts as restarting again and again. The engine waits at most a minute between.
const loopWithin = 2 * time.Minute

// restartLoop says that a container ends again and again, "" if not.
func restartLoop(now time.Time, c *state.Container) string {
	switch {
	case c.State == "restarting":
	case c.State == "running" && c.Restarts >= 3 && !c.Started.IsZero() && now.Sub(c.Started) < loopWithin:
	default:
		return ""
	}
	return fmt.Sprintf("it ends again and again: restarted %d times", c.Restarts)
}

// containerWhy returns what one should know first about a container, "" for nothing.
func containerWhy(now time.Time, c *state.Container) string {
	var out []string
	for _, s := range []string{restartLoop(now, c), nearMem(c), nearCPU(c), nearPIDs(c)} {
		if s != "" {
			out = append(out, s)
		}
	}
	if (c.State == "exited" || c.State == "dead" || c.State == "restarting") && (c.ExitCode != 0 || c.OOMKilled) {
		out = append(out, fmt.Sprintf("exit code %d: %s", c.ExitCode, exitMeaning(c.ExitCode, c.OOMKilled)))
	}
	return strings.Join(out, "; ")
}

func containerOverview(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	st, ink := containerState(e, c)
	d.KV("state", ink, st)
	if h := s.Containers.HostOf(c); h != nil {
		at := h.Title + ", " + h.Address
		if h.Health.Status == state.OK {
			d.KV("host", t.Text, at)
		} else {
			word := pane.HealthWord(e, h.Health)
			d.KV("host", word.Ink, at+": "+word.Text+"\n"+h.Health.Err)
		}
	}
	for _, why := range []string{restartLoop(e.Now(), c), nearMem(c), nearCPU(c), nearPIDs(c)} {
		if why != "" {
			d.KV("look at", t.Warn, t.Caution+" "+why)
		}
	}
	if c.State != "running" && !c.Finished.IsZero() {
		d.KV("ended", t.Text, e.When(c.Finished))
		ink := t.Text
		if c.ExitCode != 0 || c.OOMKilled {
			ink = t.Bad
		}
		d.KV("exit code", ink, fmt.Sprintf("%d: %s", c.ExitCode, exitMeaning(c.ExitCode, c.OOMKilled)))
	} else if c.OOMKilled {
		d.KV("OOM", t.Bad, t.Wrong+" "+exitMeaning(0, true))
	}
	det := s.Containers.Details[c.ID]
	d.KV("error", t.Bad, det.Error)
	d.KV("image", t.Text, c.Image)
	d.KV("command", t.Text, det.Command)
	d.KV("user", t.Text, det.User)
	d.KV("id", t.Text, c.ID)
	if c.Project != "" {
		d.KV("compose", t.Text, c.Project+", service "+c.Service)
	}
	d.KV("ports", t.Text, strings.Join(c.Ports, ", "))
	d.KV("created", t.Text, e.When(c.Created))
	d.KV("started", t.Text, e.When(c.Started))
	restarts := fmt.Sprint(c.Restarts)
	if c.Limits.Restart != "" {
		restarts += ", policy " + c.Limits.Restart
	}
	d.KV("restarts", t.Text, restarts)
	d.KV("logs to", t.Text, det.LogDriver)
	d.Head("Figures")
	if c.Sampled.IsZero() {
		d.Text(t.Dim, "none read yet")
	} else {
		n := max(8, min(60, d.Width-16))
		cpu := f.Percent(c.CPUPercent) + " of one core"
		if c.Limits.CPUs > 0 {
			cpu += ", limit " + f.Percent(100*c.Limits.CPUs)
		}
		d.KV("CPU", t.Text, cpu)
		d.KV("", t.Info, pane.Spark(t, pane.Settled(c.CPUHistory, c.Sampled), n, 10))
		of := "its limit"
		if c.Limits.Memory == 0 {
			of = "the host's: it has no limit"
		}
		d.KV("memory", t.Text, fmt.Sprintf("%s of %s, %s of %s", f.Bytes(c.MemBytes), f.Bytes(c.MemLimit), f.Percent(c.MemPercent), of))
		d.KV("", t.Info, pane.Spark(t, pane.Settled(c.MemHistory, c.Sampled), n, 0))
		d.KV("network", t.Text, fmt.Sprintf("in %s (%s), out %s (%s)", f.Rate(c.NetRxRate), f.Bytes(c.NetRx), f.Rate(c.NetTxRate), f.Bytes(c.NetTx)))
		d.KV("block", t.Text, fmt.Sprintf("read %s (%s), written %s (%s)", f.Rate(c.BlkReadRate), f.Bytes(c.BlkRead), f.Rate(c.BlkWrRate), f.Bytes(c.BlkWrite)))
		pids := f.Count(c.PIDs)
		if c.PIDsLimit > 0 {
			pids += " of " + f.Count(c.PIDsLimit)
		}
		d.KV("processes", t.Text, pids)
		d.KV("read", t.Dim, e.When(c.Sampled))
	}
	if len(c.Labels) > 0 {
		d.Head("Labels")
		pairs(d, c.Labels)
	}
}

// fetched says how old what follows is, and why it could not be fetched anew.
// have reports whether there is anything to show.
func fetched(d *pane.Doc, f state.Fetch) (have bool) {
	t := d.Env.Theme
	if f.Err != "" {
		d.Text(t.Bad, t.Wrong+" "+f.Err)
	}
	if f.At.IsZero() {
		if f.Err == "" {
			d.Text(t.Dim, t.Wait+" asking the container engine"+t.Ellipsis)
		}
		return false
	}
	d.Text(t.Faint, "as of "+d.Env.When(f.At))
	return true
}

// inspected returns the container's detail, with its age and error written first.
func inspected(d *pane.Doc, s *state.Snapshot, c *state.Container) (state.ContainerDetail, bool) {
	det := s.Containers.Details[c.ID]
	return det, fetched(d, state.Fetch{At: det.At, Err: det.Err})
}

// part returns the container's detail for a part that is fetched by itself.
func part(d *pane.Doc, s *state.Snapshot, c *state.Container, name string) (state.ContainerDetail, bool) {
	det := s.Containers.Details[c.ID]
	if det.Err != "" {
		return det, fetched(d, state.Fetch{Err: det.Err, At: det.Parts[name].At})
	}
	return det, fetched(d, det.Parts[name])
}

func containerInspect(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	if det, ok := inspected(d, s, c); ok {
		d.Text(d.Env.Theme.Text, det.Inspect)
	}
}

func containerEnv(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	t := d.Env.Theme
	det, ok := inspected(d, s, c)
	if !ok {
		return
	}
	if len(det.Env) == 0 {
		d.Text(t.Dim, "its environment is empty")
	}
	hidden := 0
	for _, v := range det.Env {
		if v.Masked {
			hidden++
		}
		d.Pair(t.Info, v.Title, t.Text, v.Value)
	}
	if hidden > 0 {
		d.Gap()
		d.Text(t.Faint, state.Plural(hidden, "value")+" hidden, as secret")
	}
}

func containerMounts(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	t := d.Env.Theme
	det, ok := inspected(d, s, c)
	if !ok {
		return
	}
	if len(det.Mounts) == 0 {
		d.Text(t.Dim, "nothing is mounted: what it writes is gone with it")
	}
	for _, m := range det.Mounts {
		d.Gap()
		d.Text(t.Strong, m.Path)
		kind := m.Kind
		if !m.Write {
			kind += ", read only"
		}
		d.KV("kind", t.Text, kind)
		d.KV("volume", t.Text, m.Title)
		d.KV("from", t.Text, m.Source)
		if m.Driver != "" && m.Driver != "local" {
			d.KV("driver", t.Text, m.Driver)
		}
	}
}

func containerNetwork(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	t := d.Env.Theme
	det, ok := inspected(d, s, c)
	if !ok {
		return
	}
	d.KV("published", t.Text, strings.Join(c.Ports, "\n"))
	var only []string
	for _, p := range det.Exposed {
		if !strings.Contains(strings.Join(c.Ports, "\n"), "->"+p) {
			only = append(only, p)
		}
	}
	d.KV("inside only", t.Text, strings.Join(only, ", "))
	if len(det.Networks) == 0 {
		d.Text(t.Dim, "it is on no network")
	}
	for _, n := range det.Networks {
		d.Head(n.Title)
		d.KV("IPv4", t.Text, n.IPv4)
		d.KV("IPv6", t.Text, n.IPv6)
		d.KV("gateway", t.Text, n.Gateway)
		d.KV("MAC", t.Text, n.MAC)
		d.KV("known as", t.Text, strings.Join(n.Aliases, ", "))
	}
}

func containerHealth(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	e, t := d.Env, d.Env.Theme
	det, ok := inspected(d, s, c)
	if !ok {
		return
	}
	if det.Check == "" {
		d.Text(t.Dim, "it has no health check: whether it works cannot be told from here")
		return
	}
	word, ink := pane.StatusWord(t, c.HealthWord)
	d.KV("health", ink, word)
	d.KV("check", t.Text, det.Check)
	if len(det.Probes) == 0 {
		d.Text(t.Dim, "it has not run yet")
	}
	for _, p := range det.Probes {
		d.Gap()
		mark, ink, how := t.OK, t.Good, "passed"
		if p.ExitCode != 0 {
			mark, ink, how = t.Wrong, t.Bad, fmt.Sprintf("failed with %d", p.ExitCode)
			if p.ExitCode < 0 {
				how = "did not end in time"
			}
		}
		d.Text(ink, fmt.Sprintf("%s %s, %s, took %s", mark, how, e.When(p.At), p.Took.Round(time.Millisecond)))
		if p.Output != "" {
			d.Text(t.Text, strings.TrimRight(p.Output, "\n"))
		}
	}
}

func containerImage(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	d.KV("image", t.Text, c.Image)
	det, ok := part(d, s, c, state.PartImage)
	if !ok || det.Image == nil {
		return
	}
	im := det.Image
	if im.Newer {
		d.Text(t.Warn, t.Caution+" its tag means another image by now: made anew, it would take that one")
	}
	d.KV("id", t.Text, im.ID)
	d.KV("tags", t.Text, strings.Join(im.Tags, "\n"))
	d.KV("digests", t.Text, strings.Join(im.Digests, "\n"))
	d.KV("created", t.Text, e.When(im.Created))
	d.KV("size", t.Text, f.Bytes(im.Size))
	d.KV("platform", t.Text, im.Platform)
	if len(im.Layers) > 0 {
		d.Head("Layers, newest first")
	}
	for _, l := range im.Layers {
		size := ""
		if l.Size > 0 {
			size = f.Bytes(l.Size)
		}
		d.Line(pane.NewLine(t, d.Width, false).Col(t.Text, size, 9, true).Gap(2).Col(t.Dim, f.Age(e.Now(), l.Created), 5, true).Gap(2).Put(t.Text, strings.Join(strings.Fields(l.By), " ")))
	}
}

func containerEvents(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	e, t := d.Env, d.Env.Theme
	det, ok := part(d, s, c, state.PartEvents)
	if !ok {
		return
	}
	if len(det.Events) == 0 {
		d.Text(t.Dim, "the engine remembers none: it keeps the last 256 of all containers, and those are older")
	}
	for _, ev := range det.Events {
		ink := t.Text
		if w := strings.ToLower(ev.What); strings.HasPrefix(w, "oom") || strings.Contains(w, "unhealthy") || strings.HasPrefix(w, "die") && !strings.Contains(w, "exit code 0") {
			ink = t.Bad
		}
		d.Line(pane.NewLine(t, d.Width, false).Col(t.Dim, e.When(ev.At), 22, false).Gap(2).Put(ink, ev.What))
	}
}

func containerDiff(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	t := d.Env.Theme
	det, ok := part(d, s, c, state.PartDiff)
	if !ok {
		return
	}
	if len(det.Changes) == 0 {
		d.Text(t.Dim, "its files are those of its image; volumes are not looked into")
	}
	for _, ch := range det.Changes {
		mark, ink := "~ ", t.Warn
		switch ch.Kind {
		case "added":
			mark, ink = "+ ", t.Good
		case "deleted":
			mark, ink = "- ", t.Bad
		}
		d.Text(ink, mark+ch.Path)
	}
	if det.MoreChanges > 0 {
		d.Text(t.Dim, fmt.Sprintf("and %d more", det.MoreChanges))
	}
}

// containerEngine draws the engine that runs the container.
func containerEngine(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	e := d.Env
	t, f := e.Theme, pane.FiguresOf(e.Theme)
	cs := &s.Containers
	at, health := cs.Host, cs.Health
	if h := cs.HostOf(c); h != nil {
		at, health = h.Address, h.Health
	}
	d.KV("at", t.Text, at)
	if w := pane.HealthWord(e, health); w.Text != "" {
		d.KV("health", w.Ink, w.Text)
	} else {
		d.KV("health", t.Good, t.OK+" answers")
	}
	en := cs.Engines[c.Host]
	if !fetched(d, en.Fetch) {
		return
	}
	d.KV("version", t.Text, en.Version)
	d.KV("API", t.Text, en.API)
	d.KV("system", t.Text, en.System)
	d.KV("cores", t.Text, fmt.Sprintf("%d, %s of memory", en.CPUs, f.Bytes(en.Mem)))
	d.KV("cgroups", t.Text, en.Cgroup)
	d.KV("storage", t.Text, strings.Join([]string{en.Storage, en.Root}, ", in "))
	d.KV("containers", t.Text, fmt.Sprintf("%d: %d running, %d paused, %d stopped", en.Containers, en.Running, en.Paused, en.Stopped))
	d.KV("images", t.Text, fmt.Sprint(en.Images))
	for _, w := range en.Warnings {
		d.KV("warns", t.Warn, w)
	}
	d.Head("Disk use")
	if !fetched(d, en.DiskFetch) {
		return
	}
	row := func(ink theme.Ink, cells ...string) {
		l := pane.NewLine(t, d.Width, false).Col(ink, cells[0], 12, false)
		for _, c := range cells[1:] {
			l.Gap(1).Col(ink, c, 11, true)
		}
		d.Line(l)
	}
	row(t.Faint, "", "in use", "of all", "takes", "prune frees")
	for _, u := range en.Disk {
		row(t.Text, u.Kind, fmt.Sprint(u.Active), fmt.Sprint(u.Count), f.Bytes(u.Size), f.Bytes(u.Free))
	}
}

func containerTop(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	t := d.Env.Theme
	if c.State != "running" && c.State != "paused" {
		d.Text(t.Dim, "it is "+c.State+": no processes")
		return
	}
	det, ok := part(d, s, c, state.PartTop)
	if !ok {
		return
	}
	widths := make([]int, len(det.TopTitles))
	for i, title := range det.TopTitles {
		widths[i] = pane.Width(t, title)
		for _, row := range det.Top {
			if i < len(row) {
				widths[i] = max(widths[i], min(30, pane.Width(t, row[i])))
			}
		}
	}
	draw := func(ink theme.Ink, row []string) {
		l := pane.NewLine(t, d.Width, false)
		for i, cell := range row {
			if i >= len(widths)-1 {
				l.Put(ink, cell)
				break
			}
			l.Col(ink, cell, widths[i], false).Gap(2)
		}
		d.Line(l)
	}
	draw(t.Faint, det.TopTitles)
	for _, row := range det.Top {
		draw(t.Text, row)
	}
}

func containerLogs(d *pane.Doc, s *state.Snapshot, c *state.Container) {
	t := d.Env.Theme
	tail, ok := s.Logs.Tails["container:"+c.ID]
	if !ok || len(tail.Records) == 0 {
		d.Text(t.Dim, t.Wait+" no lines yet")
		return
	}
	recs := tail.Records[max(0, len(tail.Records)-300):]
	for i := len(recs) - 1; i >= 0; i-- {
		r := &recs[i]
		letter, ink := logs.LevelMark(t, r.Level)
		l := pane.NewLine(t, d.Width, false)
		text := r.Text
		if said, ok := logs.Readable(text); ok {
			text = said
		}
		l.Put(t.Dim, r.Time().In(d.Env.Local).Format("15:04:05")).Gap(1).Put(ink, letter).Gap(1).Put(t.Text, text)
		d.Line(l)
	}
}

// pairs adds a map's entries by key.
func pairs(d *pane.Doc, m map[string]string) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		d.Text(d.Env.Theme.Text, k+" = "+m[k])
	}
}
