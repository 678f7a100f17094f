package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// How old a part may become while it is shown. A diff walks the
// container's whole file system, and disk use the engine's.
var partEvery = map[string]time.Duration{
	state.PartTop:    topEvery,
	state.PartEvents: 5 * time.Second,
	state.PartDiff:   15 * time.Second,
	state.PartImage:  30 * time.Second,
}

// maxChanges bounds the files of a diff, maxEvents the events, maxProbe the
// bytes of one health check's output.
const (
	maxChanges = 2000
	maxEvents  = 60
	maxProbe   = 4 << 10
)

// detailRequest is a container whose detail is shown, and what is known of it so far.
type detailRequest struct {
	id      string
	parts   map[string]bool
	running bool
	image   string // what it is said to be made of
	events  []state.ContainerEvent
	old     state.ContainerDetail
}

// detailRequests returns the containers of this engine whose detail is shown.
func (r *run) detailRequests() map[string]*detailRequest {
	out := map[string]*detailRequest{}
	in := r.s.interests.Load()
	if in == nil {
		return out
	}
	for _, id := range in.Keys(state.LookContainer) {
		if t := r.byID[id]; t != nil {
			out[id] = &detailRequest{id: id, parts: map[string]bool{}, running: t.running(), image: t.c.Image, events: slices.Clone(t.events), old: r.section.Details[id]}
		}
	}
	for id, l := range out {
		for _, part := range state.ContainerParts {
			if in.Has(state.LookPart(part), id) {
				l.parts[part] = true
			}
		}
	}
	return out
}

// detail fetches, in the background, the details that are shown. Those that are shown
// no more are dropped.
func (r *run) detail(ctx context.Context) {
	r.engineDetail(ctx)
	if r.fetchingDetails {
		return
	}
	looks := r.detailRequests()
	if len(looks) == 0 {
		if r.section.Details != nil {
			r.section.Details = nil
			r.publish()
		}
		return
	}
	r.fetchingDetails = true
	r.wg.Go(func() {
		out := map[string]state.ContainerDetail{}
		for id, l := range looks {
			out[id] = r.s.fetchDetail(ctx, r.cli, l)
		}
		r.details <- out
	})
}

// takeDetails publishes what was fetched.
func (r *run) takeDetails(got map[string]state.ContainerDetail) {
	r.section.Details = got
	r.histories()
	r.publish()
}

// histories adds the histories of the containers whose graphs are shown to their
// details. It reports whether there were any.
func (r *run) histories() (any bool) {
	for id, l := range r.detailRequests() {
		if !l.parts[state.PartHistory] {
			continue
		}
		d, ok := r.section.Details[id]
		if !ok {
			continue
		}
		if !any { // what was published is not written to
			r.section.Details = maps.Clone(r.section.Details)
			any = true
		}
		t := r.byID[id]
		h := state.Histories{Minute: t.past.minute.series(time.Second)}
		if old := d.Histories; old != nil {
			h.Hour, h.Day, h.Read, h.Err = old.Hour, old.Day, old.Read, old.Err
		}
		d.Histories = &h
		d.Parts = withPart(d.Parts, state.PartHistory, state.Fetch{At: time.Now()})
		r.section.Details[id] = d
	}
	return any
}

// hourStep and dayStep are between two samples of the last hour and of the last day.
const hourStep, dayStep = 30 * time.Second, 12 * time.Minute

// fetchHistories reads a container's last hour and day from the store. A failure
// leaves what was known, and says why.
func (s *Source) fetchHistories(ctx context.Context, id string, old *state.Histories) *state.Histories {
	var h state.Histories
	if old != nil {
		h = *old
	}
	h.Read, h.Err = time.Now(), ""
	if s.cfg.Stored == nil {
		h.Err = "nothing is stored here"
		return &h
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	hour, err := s.cfg.Stored(ctx, id, h.Read, time.Hour, hourStep)
	if err == nil {
		h.Hour = hour
		h.Day, err = s.cfg.Stored(ctx, id, h.Read, 24*time.Hour, dayStep)
	}
	if err != nil {
		h.Err = s.clean(err.Error())
	}
	return &h
}

func withPart(parts map[string]state.Fetch, name string, f state.Fetch) map[string]state.Fetch {
	out := maps.Clone(parts)
	if out == nil {
		out = map[string]state.Fetch{}
	}
	out[name] = f
	return out
}

// fetchDetail inspects a container, and fetches the parts that are shown and
// too old. A failure leaves what was known, and says why.
func (s *Source) fetchDetail(ctx context.Context, cli *client.Client, l *detailRequest) state.ContainerDetail {
	d := l.old
	call := func(timeout time.Duration, f func(context.Context) error) error {
		c, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return f(c)
	}
	var in container.InspectResponse
	err := call(callTimeout, func(ctx context.Context) error {
		res, err := cli.ContainerInspect(ctx, l.id, client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		in = res.Container
		return s.fromDetail(&d, in, res.Raw)
	})
	if err != nil {
		d.Err = s.clean("inspect: " + err.Error())
		return d
	}
	d.Err, d.At = "", time.Now()
	part := func(name string, timeout time.Duration, f func(context.Context) error) {
		old := d.Parts[name]
		if !l.parts[name] || old.Err == "" && time.Since(old.At) < partEvery[name] {
			return
		}
		if err := call(timeout, f); err != nil {
			old.Err = s.clean(name + ": " + err.Error())
		} else {
			old = state.Fetch{At: time.Now()}
		}
		d.Parts = withPart(d.Parts, name, old)
	}
	if l.running {
		part(state.PartTop, callTimeout, func(ctx context.Context) error {
			top, err := cli.ContainerTop(ctx, l.id, client.ContainerTopOptions{})
			if err != nil {
				return err
			}
			d.TopTitles, d.Top = top.Titles, nil
			for _, row := range top.Processes {
				for i, cell := range row {
					row[i] = s.clean(cell)
				}
				d.Top = append(d.Top, row)
			}
			return nil
		})
	}
	if l.parts[state.PartHistory] && (d.Histories == nil || time.Since(d.Histories.Read) >= hourStep) {
		d.Histories = s.fetchHistories(ctx, l.id, d.Histories)
	}
	part(state.PartImage, callTimeout, func(ctx context.Context) (err error) {
		d.Image, err = s.fetchImage(ctx, cli, in.Image, l.image)
		return err
	})
	part(state.PartEvents, callTimeout, func(ctx context.Context) error {
		told, err := s.fetchEvents(ctx, cli, l.id)
		if err == nil {
			d.Events = mergeEvents(told, l.events)
		}
		return err
	})
	part(state.PartDiff, 3*callTimeout, func(ctx context.Context) error {
		res, err := cli.ContainerDiff(ctx, l.id, client.ContainerDiffOptions{})
		if err != nil {
			return err
		}
		d.Changes, d.MoreChanges = s.fromDiff(res.Changes)
		return nil
	})
	return d
}

// fromDiff returns the changed files by path. Folders that only hold changed files say
// nothing that those do not.
func (s *Source) fromDiff(all []container.FilesystemChange) (out []state.FileChange, more int) {
	slices.SortFunc(all, func(a, b container.FilesystemChange) int { return strings.Compare(a.Path, b.Path) })
	for i, c := range all {
		if c.Kind == container.ChangeModify && i+1 < len(all) && strings.HasPrefix(all[i+1].Path, c.Path+"/") {
			continue
		}
		if len(out) == maxChanges {
			more++
			continue
		}
		kind := "changed"
		switch c.Kind {
		case container.ChangeAdd:
			kind = "added"
		case container.ChangeDelete:
			kind = "deleted"
		}
		out = append(out, state.FileChange{Kind: kind, Path: s.clean(c.Path)})
	}
	return out, more
}

// fetchImage returns the image of that ID, which the container names ref.
func (s *Source) fetchImage(ctx context.Context, cli *client.Client, id, ref string) (*state.ContainerImage, error) {
	in, err := cli.ImageInspect(ctx, id)
	if err != nil {
		return nil, err
	}
	im := &state.ContainerImage{ID: state.Clean(in.ID), Created: parseTime(in.Created), Size: float64(in.Size),
		Platform: state.Clean(strings.Trim(strings.Join([]string{in.Os, in.Architecture, in.Variant}, "/"), "/"))}
	for _, t := range in.RepoTags {
		im.Tags = append(im.Tags, state.Clean(t))
	}
	for _, t := range in.RepoDigests {
		im.Digests = append(im.Digests, state.Clean(t))
	}
	if ref != "" && !strings.HasPrefix(id, ref) && !strings.HasPrefix(strings.TrimPrefix(id, "sha256:"), ref) {
		if now, err := cli.ImageInspect(ctx, ref); err == nil {
			im.Newer = now.ID != in.ID
		}
	}
	hist, err := cli.ImageHistory(ctx, id)
	if err != nil {
		return im, err
	}
	for _, h := range hist.Items {
		l := state.ImageLayer{By: s.clean(cmp.Or(h.CreatedBy, h.Comment)), Size: float64(h.Size)}
		if h.Created > 0 {
			l.Created = time.Unix(h.Created, 0)
		}
		im.Layers = append(im.Layers, l)
	}
	return im, nil
}

// fetchEvents returns what the engine remembers of a container, oldest first: it keeps
// the last 256 events of all.
func (s *Source) fetchEvents(ctx context.Context, cli *client.Client, id string) (out []state.ContainerEvent, err error) {
	filters := client.Filters{}.Add("type", "container").Add("container", id)
	for _, name := range wantedEvents {
		filters = filters.Add("event", name)
	}
	now := time.Now()
	ev := cli.Events(ctx, client.EventsListOptions{Filters: filters, Since: strconv.FormatInt(now.Add(-30*24*time.Hour).Unix(), 10), Until: strconv.FormatInt(now.Unix()+1, 10)})
	for {
		select {
		case m := <-ev.Messages:
			out = append(out, eventOf(m))
		case err := <-ev.Err:
			if err == nil || errors.Is(err, io.EOF) {
				return out, nil
			}
			return nil, err
		}
	}
}

// mergeEvents returns both lists, which are oldest first, each event once, newest first.
func mergeEvents(a, b []state.ContainerEvent) []state.ContainerEvent {
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, func(x, y state.ContainerEvent) int { return y.At.Compare(x.At) })
	all = slices.CompactFunc(all, func(x, y state.ContainerEvent) bool { return x.At.Equal(y.At) && x.What == y.What })
	return all[:min(len(all), maxEvents)]
}

// fromDetail fills in what an inspect says for the detail.
func (s *Source) fromDetail(d *state.ContainerDetail, in container.InspectResponse, raw []byte) error {
	text, err := indented(raw)
	if err != nil {
		return err
	}
	d.Inspect = state.Clean(s.cfg.Mask(maskInspect(text)))
	d.Command = s.clean(strings.Join(maskArgs(append([]string{in.Path}, in.Args...)), " "))
	d.Dir, d.User, d.StopSignal, d.Check, d.Error, d.LogDriver = "", "", "", "", "", ""
	d.Env, d.Mounts, d.Networks, d.Exposed, d.Probes = nil, nil, nil, nil, nil
	if c := in.Config; c != nil {
		d.Dir, d.User, d.StopSignal = state.Clean(c.WorkingDir), state.Clean(c.User), state.Clean(c.StopSignal)
		for _, e := range c.Env {
			d.Env = append(d.Env, s.envVar(e))
		}
		slices.SortFunc(d.Env, func(a, b state.EnvVar) int { return strings.Compare(a.Title, b.Title) })
		for p := range c.ExposedPorts {
			d.Exposed = append(d.Exposed, state.Clean(p.String()))
		}
		slices.Sort(d.Exposed)
		if h := c.Healthcheck; h != nil && len(h.Test) > 0 && h.Test[0] != "NONE" {
			d.Check = s.clean(strings.Join(maskArgs(h.Test[min(1, len(h.Test)-1):]), " "))
			if h.Interval > 0 {
				d.Check += fmt.Sprintf(", every %s", h.Interval)
			}
			if h.Retries > 0 {
				d.Check += ", unhealthy after " + state.Plural(h.Retries, "failure")
			}
		}
	}
	if h := in.HostConfig; h != nil {
		d.LogDriver = state.Clean(h.LogConfig.Type)
	}
	if st := in.State; st != nil {
		d.Error = s.clean(st.Error)
		if st.Health != nil {
			for _, p := range slices.Backward(st.Health.Log) {
				if p == nil {
					continue
				}
				out := p.Output
				if len(out) > maxProbe {
					out = strings.ToValidUTF8(out[:maxProbe], "") + " [cut]"
				}
				d.Probes = append(d.Probes, state.HealthProbe{At: p.Start, Took: max(0, p.End.Sub(p.Start)), ExitCode: p.ExitCode, Output: s.clean(out)})
			}
		}
	}
	for _, m := range in.Mounts {
		d.Mounts = append(d.Mounts, state.ContainerMount{Kind: state.Clean(string(m.Type)), Title: state.Clean(m.Name), Source: state.Clean(m.Source),
			Path: state.Clean(m.Destination), Write: m.RW, Driver: state.Clean(m.Driver)})
	}
	slices.SortFunc(d.Mounts, func(a, b state.ContainerMount) int { return strings.Compare(a.Path, b.Path) })
	if in.NetworkSettings != nil {
		for name, n := range in.NetworkSettings.Networks {
			if n == nil {
				continue
			}
			x := state.ContainerNetwork{Title: state.Clean(name), MAC: n.MacAddress.String()}
			if n.IPAddress.IsValid() {
				x.IPv4 = fmt.Sprintf("%s/%d", n.IPAddress, n.IPPrefixLen)
			}
			if n.GlobalIPv6Address.IsValid() {
				x.IPv6 = fmt.Sprintf("%s/%d", n.GlobalIPv6Address, n.GlobalIPv6PrefixLen)
			}
			if n.Gateway.IsValid() {
				x.Gateway = n.Gateway.String()
			}
			for _, a := range n.DNSNames {
				x.Aliases = append(x.Aliases, state.Clean(a))
			}
			d.Networks = append(d.Networks, x)
		}
		slices.SortFunc(d.Networks, func(a, b state.ContainerNetwork) int { return strings.Compare(a.Title, b.Title) })
	}
	return nil
}

// envVar returns "NAME=value" without a secret's value.
func (s *Source) envVar(e string) state.EnvVar {
	name, value, _ := strings.Cut(e, "=")
	shown := s.cfg.Mask(maskValue(name, value))
	return state.EnvVar{Title: state.Clean(name), Value: state.Clean(shown), Masked: shown != value}
}

// clean returns text from the engine as it may be shown.
func (s *Source) clean(text string) string { return state.Clean(s.cfg.Mask(maskText(text))) }
