package views

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

func testEnv() *pane.Env {
	now := time.Date(2026, 2, 11, 3, 12, 40, 0, time.UTC)
	return &pane.Env{Theme: theme.New(theme.Options{Name: "none"}), Now: func() time.Time { return now }, Local: time.UTC}
}

func TestContainerFilter(t *testing.T) {
	env := testEnv()
	rows := []state.Container{
		{ID: "a1", Title: "web", Image: "nginx:1.25", State: "running", HealthWord: "healthy", Project: "shop", Service: "web", Host: "edge",
			CPUPercent: 80, MemBytes: 300 << 20, MemPercent: 90, NetRxRate: 2 << 20, NetTxRate: 0, BlkReadRate: -1, BlkWrRate: -1, PIDs: 4, Started: env.Now().Add(-5 * time.Minute), Labels: map[string]string{"env": "prod", "team": "Web"}},
		{ID: "b2", Title: "db", Image: "postgres:17", State: "running", HealthWord: "unhealthy", Project: "shop", Service: "db",
			CPUPercent: 2, MemBytes: 100 << 20, MemPercent: 10, NetRxRate: 0, NetTxRate: 0, PIDs: 30, Restarts: 3, Started: env.Now().Add(-48 * time.Hour), Labels: map[string]string{"env": "test"}},
		{ID: "c3", Title: "job", Image: "shop/job", State: "exited", ExitCode: 137, OOMKilled: true, CPUPercent: -1, MemBytes: -1, MemPercent: -1, NetRxRate: -1, NetTxRate: -1, PIDs: -1},
	}
	for _, c := range []struct{ filter, want, wrong string }{
		{"", "web db job", ""},
		{"   ", "web db job", ""},
		{"shop", "web db job", ""},
		{"shop run", "web db", ""},
		{"SHOP Nginx", "web", ""},
		{"!shop", "", ""},
		{"!nginx", "db job", ""},
		{"shop !nginx !job", "db", ""},
		{"name:web", "web", ""},
		{"NAME:W", "web", ""},
		{"project:shop service:db", "db", ""},
		{"project:", "web db job", `at column 1, project:: what shall it be`},
		{"image:nginx:1.25", "web", ""},
		{"nginx:1.25", "web", ""},
		{"host:edge", "web", ""},
		{"state:exited", "job", ""},
		{"state:run !health:healthy", "db", ""},
		{"health:healthy", "web", ""},
		{"health:none", "job", ""},
		{"exit:137", "job", ""},
		{"exit=137", "job", ""},
		{"exit:oom", "web db job", "an exit code is a number"},
		{"oom", "job", ""},
		{"label:env", "web db", ""},
		{"label:env=prod", "web", ""},
		{"label:team=web", "web", ""},
		{"label:env=pro", "", ""},
		{"label:=x", "web db job", "the label's name is missing"},
		{"cpu>50", "web", ""},
		{"cpu>=80%", "web", ""},
		{"cpu>80", "", ""},
		{"cpu<50", "db", ""}, // what is not known is never less
		{"!cpu<50", "web job", ""},
		{"cpu=2", "db", ""},
		{"cpu>", "web db job", "at column 1, cpu>: a value is missing, such as cpu>50"},
		{"web cpu>x", "web", `at column 5, cpu>x: "x" is no value of it: cpu>50 was expected`},
		{"cpu>NaN", "web db job", "is no value of it"},
		{"mem>80%", "web", ""},
		{"mem>200MiB", "web", ""},
		{"mem>200m", "web", ""},
		{"mem>0.05GiB mem<=100mb", "db", ""},
		{"mem>200", "web db job", "of what? mem>200MiB is memory, mem>200% a share"},
		{"mem>200XB", "web db job", "is no value of it"},
		{"net>1MiB", "web", ""},
		{"net>10%", "web db job", "is no value of it"},
		{"pids>10", "db", ""},
		{"pids>10%", "web db job", "is no value of it"},
		{"restarts>0", "db", ""},
		{"up<10m", "web", ""},
		{"up>1d", "db", ""},
		{"up<soon", "web db job", "is no value of it"},
		{"health:unhealthy restarts>0", "db", ""},
		{"sate:exited", "web db job", "there is no field sate: state was meant?"},
		{`"sate:exited"`, "", ""},
		{"foo>5", "web db job", "there is no field foo to compare: cpu, mem"},
		{"name>5", "web db job", "name is text and is not compared: name:5 looks for it"},
		{`"shop`, "web db job", `at column 1, "shop: the quote is not closed`},
		{`name:"web"`, "web", ""},
		{`"shop/job"`, "job", ""},
		{"!", "web db job", ""},
		{"日本 cpu>", "", "at column 4, cpu>"},
	} {
		keep, err := list.Query(env, c.filter, containerFields, containerText)
		var got []string
		for i := range rows {
			if keep == nil || keep(&rows[i]) {
				got = append(got, rows[i].Title)
			}
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%q keeps %q, want %q", c.filter, g, c.want)
		}
		switch {
		case err == nil && c.wrong != "":
			t.Errorf("%q: no mistake, want %q", c.filter, c.wrong)
		case err != nil && (c.wrong == "" || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%q: %v, want %q", c.filter, err, c.wrong)
		}
	}
}

func FuzzContainerFilter(f *testing.F) {
	for _, s := range []string{"cpu>50 web", `!"a b" label:x=y`, "mem>80%", "up<1d", "exit:", "\x00>1", "!!!", "cpu>=", `"`} {
		f.Add(s)
	}
	env := testEnv()
	c := state.Container{Title: "web", State: "running"}
	f.Fuzz(func(t *testing.T, s string) {
		keep, err := list.Query(env, s, containerFields, containerText)
		if keep != nil {
			keep(&c)
		}
		if err != nil && err.Error() == "" {
			t.Error("a mistake without words")
		}
	})
}
