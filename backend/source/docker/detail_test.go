package docker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestEachPartOfARealContainersDetail(t *testing.T) {
	engineHere(t)
	src := New(Config{
		Mask: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") },
		Stored: func(_ context.Context, id string, _ time.Time, span, step time.Duration) (state.Series, error) {
			if span > time.Hour {
				return state.Series{}, errors.New("the day was lost: hunter2")
			}
			return state.Series{Step: step, CPU: make([]float64, span/step)}, nil
		},
	})
	name := start(t, "parts", "-e", "API_KEY=abc123secret", "-e", "NOTE=hunter2", "-e", "LOG_LEVEL=info", "-v", "/data", "--cpus", "0.5", "--pids-limit", "77", "--memory", "48m", "--restart", "on-failure:3",
		"--health-cmd", "echo fine hunter2", "--health-interval", "1s", "-p", "127.0.0.1::80",
		"--", "sh", "-c", "echo x > /added; sleep 1000", "--token", "tok9")
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "it runs", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool {
			return c.State == "running" && c.PIDsLimit > 0 && c.CPUPercent >= 0 && c.Limits.Known
		})
	})
	c := s.Container(name)
	if c.Limits.CPUs != 0.5 || c.PIDsLimit != 77 || c.Limits.Memory == 0 || c.Limits.Restart != "on-failure:3" {
		t.Errorf("limits: CPU %v, PIDs %v, own memory %v, policy %q", c.Limits.CPUs, c.PIDsLimit, c.Limits.Memory > 0, c.Limits.Restart)
	}
	id := c.ID
	detail := func(part, what string, ok func(state.ContainerDetail) bool) state.ContainerDetail {
		t.Helper()
		src.Interest(state.Interests{{Topic: state.LookContainer, Key: id}, {Topic: state.LookPart(part), Key: id}})
		return sourcetest.Wait(r, what, func(s state.Containers) bool { return ok(s.Details[id]) }).Details[id]
	}
	d := detail("", "the health log", func(d state.ContainerDetail) bool { return len(d.Probes) > 0 })
	if d.Parts != nil {
		t.Errorf("parts that nobody looks at: %v", d.Parts)
	}
	env := map[string]state.EnvVar{}
	for _, v := range d.Env {
		env[v.Title] = v
	}
	if v := env["API_KEY"]; !v.Masked || v.Value != "***" {
		t.Errorf("API_KEY: %+v", v)
	}
	if v := env["NOTE"]; !v.Masked || v.Value != "***" {
		t.Errorf("NOTE: %+v", v)
	}
	if v := env["LOG_LEVEL"]; v.Masked || v.Value != "info" {
		t.Errorf("LOG_LEVEL: %+v", v)
	}
	if strings.Contains(d.Command, "tok9") || !strings.Contains(d.Command, "--token ***") {
		t.Errorf("command: %q", d.Command)
	}
	if p := d.Probes[0]; p.ExitCode != 0 || !strings.Contains(p.Output, "fine ***") || p.At.IsZero() {
		t.Errorf("probe: %+v", p)
	}
	if len(d.Mounts) != 1 || d.Mounts[0].Path != "/data" || d.Mounts[0].Kind != "volume" || !d.Mounts[0].Write {
		t.Errorf("mounts: %+v", d.Mounts)
	}
	if len(d.Networks) != 1 || d.Networks[0].Title != "bridge" || !strings.Contains(d.Networks[0].IPv4, "/") {
		t.Errorf("networks: %+v", d.Networks)
	}
	d = detail(state.PartTop, "top", func(d state.ContainerDetail) bool { return len(d.Top) > 0 })
	for _, row := range d.Top {
		if strings.Contains(strings.Join(row, " "), "tok9") {
			t.Errorf("top shows a secret: %v", row)
		}
	}
	d = detail(state.PartImage, "image", func(d state.ContainerDetail) bool { return d.Image != nil })
	if im := d.Image; im.Size <= 0 || len(im.Layers) == 0 || !strings.HasPrefix(im.ID, "sha256:") || im.Newer {
		t.Errorf("image: %+v", im)
	}
	detail(state.PartDiff, "the file that it made among the changes", func(d state.ContainerDetail) bool {
		return slices.Contains(d.Changes, state.FileChange{Kind: "added", Path: "/added"})
	})
	docker(t, "pause", name)
	docker(t, "unpause", name)
	d = detail(state.PartEvents, "events, from the first to the last", func(d state.ContainerDetail) bool {
		said := func(what string) bool {
			return slices.ContainsFunc(d.Events, func(e state.ContainerEvent) bool { return strings.Contains(e.What, what) })
		}
		return len(d.Events) > 2 && said("create") && said("start")
	})
	var said []string
	for i, e := range d.Events {
		said = append(said, e.What)
		if i > 0 && e.At.After(d.Events[i-1].At) {
			t.Errorf("events are not newest first: %v", d.Events)
		}
	}
	if strings.Count(strings.Join(said, " "), "create") != 1 {
		t.Errorf("events: %q", said)
	}
	d = detail(state.PartHistory, "histories", func(d state.ContainerDetail) bool {
		return d.Histories != nil && len(d.Histories.Minute.CPU) > 2 && !d.Histories.Read.IsZero()
	})
	if h := d.Histories; len(h.Hour.CPU) != 120 || h.Err != "the day was lost: ***" {
		t.Errorf("from the store: %d samples, %q", len(h.Hour.CPU), h.Err)
	}
	if m := d.Histories.Minute; len(m.Mem) != len(m.CPU) || len(m.BlkWrite) != len(m.CPU) || m.Step != time.Second {
		t.Errorf("histories: %+v", m)
	}
	src.Interest(state.Interests{{Topic: state.LookContainer, Key: id}, {Topic: state.LookPart(state.PartEngine), Key: id}})
	s = sourcetest.Wait(r, "the engine", func(s state.Containers) bool { return len(s.Engines[""].Disk) == 4 })
	if e := s.Engines[""]; e.Version == "" || e.Containers < 1 || e.Running < 1 || e.Images < 1 || e.CPUs < 1 || e.Storage == "" || e.Disk[0].Count < 1 {
		t.Errorf("engine: %+v", e)
	}
	src.Interest(nil)
	sourcetest.Wait(r, "nothing heavy any more", func(s state.Containers) bool { return len(s.Details) == 0 && len(s.Engines) == 0 })
}

func TestAFailedPartLeavesWhatWasKnown(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "gone", "--", "sleep", "1000")
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "it runs", func(s state.Containers) bool { return s.Container(name) != nil })
	id := s.Container(name).ID
	cli, err := src.engine()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Minute)
	old := state.ContainerDetail{At: at, Inspect: "{}", Changes: []state.FileChange{{Kind: "added", Path: "/x"}}, Parts: map[string]state.Fetch{state.PartDiff: {At: at}}}
	d := src.fetchDetail(t.Context(), cli, &detailRequest{id: "nosuchcontainer", parts: map[string]bool{state.PartDiff: true}, old: old})
	if !strings.Contains(d.Err, "inspect:") || d.Inspect != "{}" || !d.At.Equal(at) || len(d.Changes) != 1 {
		t.Errorf("of a container that is gone: %+v", d)
	}
	d = src.fetchDetail(t.Context(), cli, &detailRequest{id: id, parts: map[string]bool{state.PartTop: true}, running: true, old: state.ContainerDetail{}})
	if d.Err != "" || len(d.Top) == 0 {
		t.Fatalf("of one that runs: %+v", d)
	}
	docker(t, "stop", "-t", "0", name)
	stale := d.Parts[state.PartTop]
	stale.At = at
	d.Parts = withPart(d.Parts, state.PartTop, stale)
	d = src.fetchDetail(t.Context(), cli, &detailRequest{id: id, parts: map[string]bool{state.PartTop: true}, running: true, old: d})
	if f := d.Parts[state.PartTop]; !strings.Contains(f.Err, "top:") || !f.At.Equal(at) || len(d.Top) == 0 {
		t.Errorf("top of one that stopped: %+v, %d rows", f, len(d.Top))
	}
}

func TestSecretsInCommands(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"api --listen :80", "api --listen :80"},
		{"api --password pw8 -v", "api --password *** -v"},
		{"api --token=abc --x", "api --token=*** --x"},
		{"/bin/sh -c #(nop) ENV API_KEY=abc LOG=info", "/bin/sh -c #(nop) ENV API_KEY=*** LOG=info"},
		{"psql postgres://u:pw9@h/db", "psql postgres://u:***@h/db"},
		{`run SECRET="a b" now`, "run SECRET=*** now"},
		{"keepalive --author x", "keepalive --author ***"}, // rather too much than too little
	} {
		if got := maskText(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	if got := strings.Join(maskArgs([]string{"api", "--password", "a b", "--token=x y", "-p"}), "|"); got != "api|--password|***|--token=***|-p" {
		t.Errorf("arguments: %q", got)
	}
}

func TestDiffLeavesOutFoldersOfChangedFiles(t *testing.T) {
	got, more := New(Config{}).fromDiff([]container.FilesystemChange{{Kind: 0, Path: "/etc"}, {Kind: 1, Path: "/etc/a"}, {Kind: 0, Path: "/root"}, {Kind: 2, Path: "/usr/b"}})
	if len(got) != 3 || more != 0 || got[0].Path != "/etc/a" || got[1].Kind != "changed" || got[2].Kind != "deleted" {
		t.Errorf("got %+v and %d more", got, more)
	}
}

func TestPastKeepsTheLastMinute(t *testing.T) {
	var p past
	for i := range 200 {
		p.add([6]float64{float64(i), 100, -1, 0, 0, 0})
	}
	m := p.minute.series(time.Second)
	if len(m.CPU) != 60 || m.CPU[0] != 140 || m.CPU[59] != 199 || m.NetRx[0] != -1 {
		t.Errorf("minute: %v", m.CPU)
	}
}
