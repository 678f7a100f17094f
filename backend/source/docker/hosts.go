package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/backend/supervisor"
)

// stragglerTimeout is how long hosts that do not answer are waited for, once one has said
// that it has the container of a name.
const stragglerTimeout = 2 * time.Second

// Hosts is the source of the containers of several engines in one table. With one
// engine it is that engine's [Source], and adds nothing. With more, each has a
// health of its own: one that is down keeps its last containers, marked, and does
// not keep the others waiting. Its methods may be called from any goroutine.
type Hosts struct {
	members []*member
	list    atomic.Pointer[[]state.Container]
	wake    chan struct{} // something is to be published

	mu sync.Mutex // guards what members have
}

// member is one engine of several.
type member struct {
	title string
	src   *Source

	section state.Containers
	have    bool // section is of an engine that answered
	health  state.Health
}

// NewHosts returns a source of the engines. It does not connect. The error says which
// title is missing, twice there or not usable.
func NewHosts(cfgs []Config) (*Hosts, error) {
	h := &Hosts{wake: make(chan struct{}, 1)}
	if len(cfgs) == 0 {
		cfgs = []Config{{}}
	}
	seen := map[string]bool{}
	now := time.Now()
	for _, c := range cfgs {
		if c.Title == "" {
			c.Title = c.ownTitle()
		}
		switch {
		case strings.ContainsAny(c.Title, "/ \t\n"):
			return nil, fmt.Errorf("docker: the host's name %q has a slash or a space: name it with a word", c.Title)
		case seen[c.Title]:
			return nil, fmt.Errorf("docker: two hosts are named %q: give each a name of its own", c.Title)
		}
		seen[c.Title] = true
		h.members = append(h.members, &member{title: c.Title, src: New(c), health: state.Health{Status: state.Connecting, Since: now}})
	}
	return h, nil
}

// ownTitle returns the name of a host that has none in the configuration.
func (c Config) ownTitle() string {
	if u, err := url.Parse(c.Host); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	switch {
	case c.Context != "" && c.Context != "default":
		return c.Context
	case c.Host == "":
		if name, err := os.Hostname(); err == nil && name != "" {
			return name
		}
	}
	return "local"
}

// one returns the only engine, or nil where there are several.
func (h *Hosts) one() *Source {
	if len(h.members) == 1 {
		return h.members[0].src
	}
	return nil
}

// Name implements state.Source.
func (h *Hosts) Name() string { return h.members[0].src.Name() }

// Sections implements state.Source.
func (h *Hosts) Sections() []state.SectionName { return h.members[0].src.Sections() }

// Kinds implements state.Executor.
func (h *Hosts) Kinds() []state.Kind { return h.members[0].src.Kinds() }

// Interest implements state.Interested.
func (h *Hosts) Interest(in state.Interests) {
	if s := h.one(); s != nil {
		s.Interest(in)
		return
	}
	for _, m := range h.members {
		own := slices.Clone(in)
		for i := range own { // an engine knows its containers by their titles alone
			if own[i].Topic.Action() != "" {
				own[i].Key = strings.TrimPrefix(own[i].Key, m.title+"/")
			}
		}
		m.src.Interest(own)
	}
}

// Containers returns the list as last published. It must not be written to.
func (h *Hosts) Containers() []state.Container {
	if s := h.one(); s != nil {
		return s.Containers()
	}
	if l := h.list.Load(); l != nil {
		return *l
	}
	return nil
}

// Run implements state.Source. It ends with an error when no host answers: then
// the whole section is stale.
func (h *Hosts) Run(ctx context.Context, put func(state.Section)) error {
	if s := h.one(); s != nil {
		return s.Run(ctx, put)
	}
	parent := ctx
	ctx, cancel := context.WithCancel(parent)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	h.mu.Lock()
	for _, m := range h.members {
		m.health.Attempt = 0
	}
	h.mu.Unlock()
	for _, m := range h.members {
		wg.Go(func() { h.supervise(ctx, m) })
	}
	for {
		select {
		case <-ctx.Done():
			return parent.Err()
		case <-h.wake:
		}
		sec, err := h.merge()
		if err != nil {
			return err
		}
		if sec != nil {
			put(*sec)
		}
	}
}

// supervise runs one engine's source until ctx ends, and keeps its health.
func (h *Hosts) supervise(ctx context.Context, m *member) {
	loop := supervisor.Loop{Name: m.title,
		Run: func(ctx context.Context, ok func()) error {
			return m.src.Run(ctx, func(sec state.Section) {
				ok()
				h.note(func() {
					now := time.Now()
					if m.health.Status != state.OK {
						m.health = state.Health{Status: state.OK, Since: now}
					}
					m.health.LastOK, m.health.Err, m.health.Attempt = now, "", 0
					m.section, m.have = sec.(state.Containers), true
				})
			})
		},
		Failed: func(f supervisor.Failure) {
			now := time.Now()
			h.note(func() {
				status := state.Down
				if m.have {
					status = state.Stale
				}
				if m.health.Status != status {
					m.health.Status, m.health.Since = status, now
				}
				m.health.Err, m.health.Attempt, m.health.NextTry = m.src.clean(f.Err.Error()), f.Attempt, now.Add(f.Pause)
			})
		}}
	loop.Do(ctx)
}

// note changes what is known of a member, and has it published.
func (h *Hosts) note(f func()) {
	h.mu.Lock()
	f()
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// merge makes one section of all. It is nil while no host has answered yet, and an
// error once every host has failed.
func (h *Hosts) merge() (*state.Containers, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sec := &state.Containers{Host: state.Plural(len(h.members), "host")}
	titles := map[string]string{} // to a host, or "" for several
	answer, failed, trying, n := 0, 0, false, 0
	for _, m := range h.members {
		switch m.health.Status {
		case state.OK:
			answer++
		case state.Stale, state.Down:
			failed++
			trying = trying || m.health.Attempt == 0
		case state.Connecting:
			trying = true
		}
		n += len(m.section.List)
	}
	if failed == len(h.members) && !trying {
		return nil, h.noneAnswers()
	}
	if answer == 0 {
		return nil, nil
	}
	list := make([]state.Container, 0, n)
	for _, m := range h.members {
		address := m.section.Host
		if address == "" {
			address = m.src.cfg.address()
		}
		sec.Hosts = append(sec.Hosts, state.ContainerHost{Title: m.title, Address: address, Engine: m.section.Engine, Health: m.health})
		for _, c := range m.section.List {
			c.Host = m.title
			if at, ok := titles[c.Title]; ok && at != m.title {
				titles[c.Title] = ""
			} else {
				titles[c.Title] = m.title
			}
			list = append(list, c)
		}
		maps.Copy(orMake(&sec.Details), m.section.Details)
		for _, e := range m.section.Engines {
			orMake(&sec.Engines)[m.title] = e
		}
		sec.CPUs = cmp.Or(sec.CPUs, m.section.CPUs)
		maps.Copy(orMake(&sec.Connections), m.section.Connections)
		for name, p := range m.section.Projects {
			if _, twice := sec.Projects[name]; twice {
				p.Err = "several hosts have a project of this name: run compose there"
			}
			orMake(&sec.Projects)[name] = p
		}
		if sec.Compose.Version == "" {
			sec.Compose = m.section.Compose
		}
	}
	for i := range list {
		list[i].Twin = titles[list[i].Title] == ""
	}
	slices.SortFunc(list, func(a, b state.Container) int {
		return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Host, b.Host), cmp.Compare(a.ID, b.ID))
	})
	sec.List = list
	h.list.Store(&list)
	return sec, nil
}

func orMake[M ~map[K]V, K comparable, V any](m *M) M {
	if *m == nil {
		*m = M{}
	}
	return *m
}

// address returns where a host is that has not answered yet.
func (c Config) address() string {
	e, err := c.resolve()
	if err != nil || e.host == "" {
		return cmp.Or(c.Host, c.Context)
	}
	return e.host
}

// noneAnswers returns why there is nothing at all.
func (h *Hosts) noneAnswers() error {
	var all []string
	for _, m := range h.members {
		all = append(all, m.title+": "+m.health.Err)
	}
	return fmt.Errorf("none of %d container hosts answers:\n%s", len(h.members), strings.Join(all, "\n"))
}

// Of returns the engine that a container is on, by its ID, title, or host and title, and
// the name by which that engine knows it. What no engine is known to have is looked
// for on each, so that a source that does not run knows it too.
func (h *Hosts) Of(ctx context.Context, target string) (*Source, string, error) {
	if s := h.one(); s != nil {
		return s, strings.TrimPrefix(target, h.members[0].title+"/"), nil
	}
	if c := (state.Containers{List: h.Containers()}).Container(target); c != nil {
		return h.member(c.Host).src, c.ID, nil
	}
	host, rest, qualified := strings.Cut(target, "/")
	if m := h.member(host); qualified && m != nil {
		return m.src, rest, nil
	}
	var found []*member
	var wrong []error
	var mu sync.Mutex
	ask, cancel := context.WithCancel(ctx)
	defer cancel()
	each(len(h.members), len(h.members), func(i int) {
		ok, err := h.members[i].src.has(ask, target)
		mu.Lock()
		defer mu.Unlock()
		if ok {
			found = append(found, h.members[i])
			if anonymous.MatchString(target) { // an ID: no other host has it
				cancel()
			} else {
				time.AfterFunc(stragglerTimeout, cancel)
			}
		}
		if err != nil {
			wrong = append(wrong, err)
		}
	})
	switch len(found) {
	case 1:
		return found[0].src, target, nil
	case 0:
		return nil, "", errors.Join(append([]error{fmt.Errorf("docker: no host has a container %q: see opsdeck containers", state.Clean(target))}, wrong...)...)
	}
	return nil, "", fmt.Errorf("docker: several hosts have a container %q: name one as %s/%s", state.Clean(target), found[0].title, state.Clean(target))
}

// Has reports whether a host has that name.
func (h *Hosts) Has(title string) bool { return h.member(title) != nil }

func (h *Hosts) member(title string) *member {
	for _, m := range h.members {
		if m.title == title {
			return m
		}
	}
	return nil
}

// OpenLog returns the log of a container of any host: see [Source.OpenLog].
func (h *Hosts) OpenLog(ctx context.Context, id string, since time.Time, tail int) (io.ReadCloser, bool, error) {
	s, id, err := h.Of(ctx, id)
	if err != nil {
		return nil, false, err
	}
	return s.OpenLog(ctx, id, since, tail)
}

// Shell returns a shell in a container of any host: see [Source.Shell].
func (h *Hosts) Shell(ctx context.Context, id string, stdin io.Reader, stdout io.Writer, resize <-chan [2]uint16) error {
	s, id, err := h.Of(ctx, id)
	if err != nil {
		return err
	}
	return s.Shell(ctx, id, stdin, stdout, resize)
}

// Execute implements state.Executor: the action goes to the engine that its target
// is on.
func (h *Hosts) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	if s := h.one(); s != nil {
		return s.Execute(ctx, a, progress)
	}
	m, local, err := h.route(a)
	if err != nil {
		return state.Outcome{}, err
	}
	was := a.Target
	a.Target = local
	out, err := m.src.Execute(ctx, a, progress)
	if u := out.Undo; u != nil && u.Target == local {
		back := *u
		back.Target = was
		out.Undo = &back
	}
	return out, err
}

// Figures implements state.Measurer.
func (h *Hosts) Figures(ctx context.Context, a state.Action, since, until time.Time) []state.Figure {
	if s := h.one(); s != nil {
		return s.Figures(ctx, a, since, until)
	}
	m, local, err := h.route(a)
	if err != nil {
		return nil
	}
	a.Target = local
	return m.src.Figures(ctx, a, since, until)
}

// route returns the host that an action's target is on, and the target's name there: a
// container, a compose project, or whatever stands after a host's name.
func (h *Hosts) route(a state.Action) (*member, string, error) {
	list := state.Containers{List: h.Containers()}
	if !strings.HasPrefix(string(a.Kind), "compose.") {
		if c := list.Container(a.Target); c != nil {
			return h.member(c.Host), c.Title, nil
		}
		host, rest, qualified := strings.Cut(a.Target, "/")
		if m := h.member(host); qualified && m != nil {
			return m, rest, nil
		}
	}
	on := map[string]bool{}
	project, _, _ := strings.Cut(a.Target, "/") // of a service: project/service
	for i := range list.List {
		if c := &list.List[i]; c.Project != "" && c.Project == project {
			on[c.Host] = true
		}
	}
	hosts := slices.Sorted(maps.Keys(on))
	switch len(hosts) {
	case 1:
		return h.member(hosts[0]), a.Target, nil
	case 0:
		return nil, "", fmt.Errorf("docker: %s %q: no host is known to have it: write it as host/name; the hosts are %s", verb(a.Kind), state.Clean(a.Target), h.titles())
	}
	return nil, "", fmt.Errorf("docker: %s %q: it is on several hosts: write it as %s/%s", verb(a.Kind), state.Clean(a.Target), hosts[0], state.Clean(a.Target))
}

func (h *Hosts) titles() string {
	var out []string
	for _, m := range h.members {
		out = append(out, m.title)
	}
	return strings.Join(out, ", ")
}
