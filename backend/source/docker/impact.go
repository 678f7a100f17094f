package docker

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// reclaimEvery is the interval at which what a prune would remove is counted while it is
// confirmed: that is work for the engine.
const reclaimEvery = 30 * time.Second

// composeRetry is the interval at which a compose that was not found is searched for.
const composeRetry = time.Minute

// impacts is what was fetched for the confirmations on the screens, and for compose.
type impacts struct {
	connections map[string]state.Connections
	reclaim     *state.Reclaim
	compose     *state.Compose
	projects    map[string]state.Project
}

// fetchImpacts fetches, in the background, the impacts that the confirmations on the
// screens show. Those that are shown no more are dropped.
func (r *run) fetchImpacts(ctx context.Context) {
	if r.fetchingImpacts {
		return
	}
	pids := map[string]int{}
	ports := map[string][]string{}
	prune := false
	if in := r.s.interests.Load(); in != nil {
		list := state.Containers{List: r.section.List}
		for _, kind := range r.s.Kinds() {
			asked := in.Keys(state.LookAction(kind))
			prune = prune || kind == state.ContainerPrune && len(asked) > 0
			for _, t := range asked {
				about := list.Replicas(t)
				if c := list.Container(t); c != nil {
					about = append(about, c)
				}
				for _, c := range about {
					// Only a reader has made sure that the process is the container's.
					if t := r.byID[c.ID]; t != nil && t.running() {
						pids[c.ID], ports[c.ID] = 0, c.Ports
						if t.reader != nil && !t.hostNet {
							pids[c.ID] = t.pid
						} else if t.hostNet {
							pids[c.ID] = -1
						}
					}
				}
			}
		}
	}
	have := r.section.Reclaim
	count := prune && (have == nil || time.Since(have.At) > reclaimEvery)
	if !prune && have != nil || len(pids) == 0 && len(r.section.Connections) > 0 {
		if !prune {
			r.section.Reclaim = nil
		}
		r.section.Connections = nil
		r.publish()
	}
	if len(pids) == 0 && !count {
		return
	}
	r.fetchingImpacts = true
	r.wg.Go(func() {
		a := impacts{}
		if len(pids) > 0 {
			a.connections = make(map[string]state.Connections, len(pids))
			for id, pid := range pids {
				a.connections[id] = connections(pid, ports[id])
			}
		}
		if count {
			a.reclaim = reclaim(ctx, r.cli)
		}
		r.fetchedImpacts <- a
	})
}

// findProjects finds, in the background, compose and the files of the
// projects.
func (r *run) findProjects(ctx context.Context) {
	if r.findingCompose {
		return
	}
	r.findingCompose = true
	find := r.section.Compose.Version == "" && time.Since(r.composeChecked) > composeRetry
	list, here := r.section.List, r.here
	r.wg.Go(func() {
		a := impacts{projects: projects(list, here)}
		if find && len(a.projects) > 0 {
			a.compose = &state.Compose{}
			if how, err := findCompose(ctx); err != nil {
				a.compose.Err = state.Clean(err.Error())
			} else {
				a.compose.Version = how.version
			}
		}
		r.foundCompose <- a
	})
}

// newProject reports whether there is a project that has not been looked for.
func (r *run) newProject() bool {
	for i := range r.section.List {
		p := r.section.List[i].Project
		if _, ok := r.section.Projects[p]; p != "" && !ok {
			return true
		}
	}
	return false
}

// connections returns those in the network of the process pid; 0 for a process that is
// not known to be here, negative for the host's own network. published are its
// ports: a server may have stopped to listen on one while it serves who came by it.
func connections(pid int, published []string) state.Connections {
	c := state.Connections{At: time.Now()}
	switch {
	case pid == 0:
		c.Err = "the engine is on another host, or has not reported its processes yet"
		return c
	case pid < 0:
		c.Err = "it uses the host's own network, where they cannot be distinguished"
		return c
	}
	listening, open := map[int]bool{}, [][2]string{}
	for _, p := range published {
		_, to, _ := strings.Cut(p, "->")
		if n, err := strconv.Atoi(strings.TrimSuffix(to, "/tcp")); err == nil {
			listening[n] = true
		}
	}
	for _, name := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/net/" + name)
		if err != nil {
			if name == "tcp" {
				c.Err = "its network cannot be read: " + state.Clean(err.Error())
				return c
			}
			continue // a kernel without IPv6
		}
		lines := strings.Split(string(b), "\n")
		for _, l := range lines[1:] {
			f := strings.Fields(l)
			if len(f) < 4 {
				continue
			}
			switch f[3] {
			case "0A":
				listening[port(f[1])] = true
			case "01":
				open = append(open, [2]string{f[1], f[2]})
			}
		}
	}
	for _, o := range open {
		if p := port(o[0]); listening[p] {
			if c.In == nil {
				c.In = map[int]int{}
			}
			c.In[p]++
			continue
		}
		to := address(o[1])
		if ip, _, _ := strings.Cut(to, ":"); ip == "127.0.0.1" || strings.HasPrefix(to, "[::1]") {
			continue // between its own processes
		}
		if c.Out == nil {
			c.Out = map[string]int{}
		}
		c.Out[to]++
	}
	return c
}
