package docker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	mounttype "github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// inspectAtOnce bounds the inspects under way.
const inspectAtOnce = 8

// inspectMax bounds the containers of one batch, so that the running ones, which
// go first, are not kept waiting by thousands of stopped ones.
const inspectMax = 64

// inspectRest is between two batches while thousands of stopped ones are left, so that
// neither the engine nor the console is busy with them alone.
const inspectRest = 200 * time.Millisecond

// Labels in which compose records what a container belongs to.
const (
	projectLabel = "com.docker.compose.project"
	serviceLabel = "com.docker.compose.service"
)

// readList reads the whole list, once a connection.
func (r *run) readList(ctx context.Context) error {
	c, cancel := context.WithTimeout(ctx, 3*callTimeout)
	defer cancel()
	res, err := r.cli.ContainerList(c, client.ContainerListOptions{All: true})
	if err != nil {
		return err
	}
	for _, sum := range res.Items {
		t := &track{}
		t.unknown()
		fromSummary(&t.c, sum)
		t.hostNet = sum.HostConfig.NetworkMode == "host"
		r.byID[sum.ID] = t
		if t.running() {
			r.dirty[sum.ID] = true
		} else {
			r.left = append(r.left, sum.ID)
		}
	}
	if !r.local {
		if info, err := r.cli.Info(c, client.InfoOptions{}); err == nil {
			r.section.CPUs = info.Info.NCPU
		}
	} else {
		r.section.CPUs = onlineCPUs()
	}
	r.resort = true
	return nil
}

// sort orders the tracks by title, then ID.
func (r *run) sort() {
	r.order = slices.AppendSeq(r.order[:0], maps.Values(r.byID))
	slices.SortFunc(r.order, func(a, b *track) int {
		return cmp.Or(cmp.Compare(a.c.Title, b.c.Title), cmp.Compare(a.c.ID, b.c.ID))
	})
	r.resort = false
}

// fromSummary fills in what the list says. Exit code and health are in its status
// text only: "Exited (137) 2 hours ago", "Up 3 minutes (healthy)".
func fromSummary(c *state.Container, s container.Summary) {
	c.ID = s.ID
	c.Title = s.ID[:min(12, len(s.ID))]
	// A linked container has the other's alias too: its own name has one slash.
	for _, n := range s.Names {
		if n = strings.TrimPrefix(n, "/"); n != "" && !strings.Contains(n, "/") {
			c.Title = state.Clean(n)
			break
		}
	}
	c.Image = state.Clean(s.Image)
	c.State = string(s.State)
	c.Created = time.Unix(s.Created, 0)
	setLabels(c, s.Labels)
	if rest, ok := strings.CutPrefix(s.Status, "Exited ("); ok {
		if code, _, ok := strings.Cut(rest, ")"); ok {
			c.ExitCode, _ = strconv.Atoi(code)
		}
	}
	switch {
	case strings.Contains(s.Status, "(healthy)"):
		c.HealthWord = "healthy"
	case strings.Contains(s.Status, "(unhealthy)"):
		c.HealthWord = "unhealthy"
	case strings.Contains(s.Status, "(health: starting)"):
		c.HealthWord = "starting"
	}
	for _, p := range s.Ports {
		if p.PublicPort == 0 {
			continue
		}
		c.Ports = append(c.Ports, fmt.Sprintf("%s->%d/%s", hostPort(p.IP.String(), strconv.Itoa(int(p.PublicPort))), p.PrivatePort, p.Type))
	}
	slices.Sort(c.Ports)
	c.Volumes = volumes(s.Mounts)
}

// volumes returns what is mounted where: volumes by name, folders by their path.
func volumes(mounts []container.MountPoint) (out []string) {
	for _, m := range mounts {
		name := m.Name
		switch {
		case anonymous.MatchString(name):
			name = "one without a name"
		case name == "":
			name = m.Source
		}
		if m.Type == mounttype.TypeTmpfs {
			name = "memory"
		}
		access := ""
		if !m.RW {
			access = ", read-only"
		}
		out = append(out, state.Clean(name+" at "+m.Destination+access))
	}
	slices.Sort(out)
	return out
}

// anonymous is the name that the engine gives to a volume without one.
var anonymous = regexp.MustCompile(`^[0-9a-f]{64}$`)

func setLabels(c *state.Container, labels map[string]string) {
	c.Labels = nil
	if len(labels) > 0 {
		c.Labels = make(map[string]string, len(labels))
		for k, v := range labels {
			c.Labels[state.Clean(k)] = state.Clean(maskValue(k, v))
		}
	}
	c.Project, c.Service = c.Labels[projectLabel], c.Labels[serviceLabel]
}

func hostPort(ip, port string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]:" + port
	}
	return ip + ":" + port
}

// fromInspect fills in what an inspect says, which is everything but figures.
func fromInspect(t *track, in container.InspectResponse) {
	c := &t.c
	if n := strings.TrimPrefix(in.Name, "/"); n != "" {
		c.Title = state.Clean(n)
	}
	c.Created = parseTime(in.Created)
	c.Restarts = in.RestartCount
	if in.Config != nil {
		c.Image = state.Clean(in.Config.Image)
		setLabels(c, in.Config.Labels)
	}
	if h := in.HostConfig; h != nil {
		t.hostNet = h.NetworkMode == "host"
		c.NetworkOf = ""
		if h.NetworkMode.IsContainer() {
			c.NetworkOf = state.Clean(h.NetworkMode.ConnectedContainer())
		}
		c.Limits = limits(h)
		c.PIDsLimit = 0
		if h.PidsLimit != nil && *h.PidsLimit > 0 {
			c.PIDsLimit = float64(*h.PidsLimit)
		}
	}
	c.Volumes = volumes(in.Mounts)
	c.Ports = nil
	if in.NetworkSettings != nil {
		for port, bindings := range in.NetworkSettings.Ports {
			for _, b := range bindings {
				c.Ports = append(c.Ports, hostPort(b.HostIP.String(), state.Clean(b.HostPort))+"->"+port.String())
			}
		}
		slices.Sort(c.Ports)
	}
	st := in.State
	if st == nil {
		return
	}
	c.State = string(st.Status)
	c.ExitCode, c.OOMKilled = st.ExitCode, st.OOMKilled
	c.Started, c.Finished = parseTime(st.StartedAt), parseTime(st.FinishedAt)
	c.HealthWord = ""
	if st.Health != nil && st.Health.Status != container.NoHealthcheck {
		c.HealthWord = string(st.Health.Status)
	}
	switch {
	case st.Pid == t.pid:
		if t.reader != nil {
			t.reader.readLimit()
		}
	case t.reader != nil && st.Pid > 0 && c.Started.Before(t.first): // it was met by another process of its own
		t.pid, t.tried = st.Pid, st.Pid
	default:
		t.closeReader()
		t.unknown()
		t.pid = st.Pid
	}
	if !t.running() {
		t.closeReader()
		t.unknown()
	}
}

// parseTime reads the engine's times; year 1 is its word for never.
func parseTime(s string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || at.Year() <= 1 {
		return time.Time{}
	}
	return at
}

// inspected is the answer to one inspect.
type inspected struct {
	id   string
	in   container.InspectResponse
	gone bool
	err  error
}

type result []inspected

// inspect inspects, in the background, the containers that changed; one batch at
// a time, running ones first, and last those that were not running when they were listed.
func (r *run) inspect(ctx context.Context) {
	if r.inspecting || r.toInspect() == 0 {
		return
	}
	var ids, stopped, late []string
	for id := range r.dirty {
		switch t := r.byID[id]; {
		case t != nil && (t.running() || t.known):
			ids = append(ids, id)
		case t != nil && len(stopped) < inspectMax:
			stopped = append(stopped, id)
		case t == nil && len(late) < inspectMax:
			late = append(late, id)
		}
	}
	for _, id := range append(stopped, late...) {
		if len(ids) >= inspectMax {
			break
		}
		ids = append(ids, id)
	}
	for len(r.left) > 0 && len(ids) < inspectMax {
		id := r.left[0]
		if r.left = r.left[1:]; r.byID[id] != nil && !r.byID[id].known && !r.dirty[id] {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		delete(r.dirty, id)
	}
	r.inspecting = true
	var rest time.Duration
	if r.toInspect() >= slowFrom {
		rest = inspectRest
	}
	r.wg.Go(func() {
		out := make(result, len(ids))
		each(len(ids), inspectAtOnce, func(i int) {
			c, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			res, err := r.cli.ContainerInspect(c, ids[i], client.ContainerInspectOptions{})
			out[i] = inspected{id: ids[i], in: res.Container, gone: errdefs.IsNotFound(err), err: err}
		})
		select {
		case <-time.After(rest):
		case <-ctx.Done():
		}
		r.results <- out
	})
}

// toInspect returns how many inspects are still to be made.
func (r *run) toInspect() int { return len(r.dirty) + len(r.left) }

// take applies a batch. It reports whether a container can be measured for the
// first time.
func (r *run) take(res result) (first bool) {
	for _, in := range res {
		t := r.byID[in.id]
		switch {
		case t == nil:
		case in.gone:
			t.closeReader()
			delete(r.byID, in.id)
			r.resort = true
		case in.err != nil:
			// It stays as its events told; a frozen engine shows at the next ping.
		default:
			title, pid := t.c.Title, t.pid
			fromInspect(t, in.in)
			t.known = true
			first = first || t.pid != 0 && t.pid != pid
			r.resort = r.resort || title != t.c.Title
		}
	}
	return first
}

// each calls f for 0 to n-1, at most width at once, and waits.
func each(n, width int, f func(int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{}, width)
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			f(i)
		})
	}
	wg.Wait()
}
