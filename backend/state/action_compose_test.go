package state

import (
	"strings"
	"testing"
)

func TestRowsOfAServiceAreOneTarget(t *testing.T) {
	s := &Snapshot{Containers: Containers{Health: Health{Status: OK}, List: []Container{
		{ID: "d", Title: "db", State: "running", Project: "shop", Service: "db"},
		{ID: "w", Title: "web", State: "running", Project: "shop", Service: "web"},
	}}}
	{
		w := &s.Containers.List[1]
		c := *w
		c.ID, c.Title = "w2", "web-2"
		s.Containers.List = append(s.Containers.List, c, Container{ID: "o", Title: "alone", State: "running"},
			Container{ID: "e", Title: "evil", State: "running", Project: "--help", Service: "-f"})
		s.Containers.Compose.Version = "docker-compose 1.29.2"
		s.Containers.Projects = map[string]Project{"shop": {Dir: "/srv", Files: []string{"/srv/compose.yaml"}}}
	}
	spec := SpecOf(ComposeRecreate)
	if got := strings.Join(spec.Targets(s), " "); got != "shop/db shop/web" {
		t.Errorf("targets %q", got)
	}
	for target, want := range map[string]string{"web-2": "shop/web", "shop/web": "shop/web", "shop/*": "shop/*", "alone": "", "evil": "", "-p/x": "", "a/b/c": ""} {
		if got := spec.Of(s, target); got != want {
			t.Errorf("%s stands for %q, want %q", target, got, want)
		}
	}
	if got := SpecOf(ComposeDown).Of(s, "web"); got != "shop/*" {
		t.Errorf("down of web stands for %q", got)
	}
	for target, want := range map[string]string{"web": "", "alone": "does not belong", "nope": "there is no", "other/x": "no container of a project"} {
		if why := Why(s, ComposeRecreate, target); (why == "") != (want == "") || !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", target, why, want)
		}
	}
	s.Containers.Compose = Compose{Err: "neither is installed"}
	if why := Why(s, ComposeUp, "web"); why != "neither is installed" {
		t.Errorf("without compose: %q", why)
	}
}
