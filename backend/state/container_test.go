package state

import "testing"

func TestContainersOfSeveralHostsAreTold(t *testing.T) {
	c := Containers{List: []Container{
		{ID: "cccc1", Title: "cache", Host: "b"}, {ID: "dddd2", Title: "db", Host: "a"},
		{ID: "aaaa3", Title: "web", Host: "a", Twin: true}, {ID: "bbbb4", Title: "web", Host: "b", Twin: true},
	}, Hosts: []ContainerHost{{Title: "a", Health: Health{Status: OK}}, {Title: "b", Health: Health{Status: Stale}}}}
	for _, x := range []struct{ target, id string }{
		{"cache", "cccc1"}, {"db", "dddd2"}, {"a/db", "dddd2"}, {"a/web", "aaaa3"}, {"b/web", "bbbb4"}, {"web", ""}, {"c/web", ""}, {"bbbb", "bbbb4"}, {"bbbb4", "bbbb4"}, {"b", ""}, {"", ""},
	} {
		got := ""
		if y := c.Container(x.target); y != nil {
			got = y.ID
		}
		if got != x.id {
			t.Errorf("%q is %q, want %q", x.target, got, x.id)
		}
	}
	for i := range c.List {
		if x := c.Container(c.List[i].Target()); x != &c.List[i] {
			t.Errorf("%s does not lead back", c.List[i].Target())
		}
	}
	s := &Snapshot{Containers: c}
	s.Containers.Health.Status = OK
	if why := Why(s, ContainerRestart, "b/web"); why != "its host b does not answer" {
		t.Errorf("restart on a host that is away: %q", why)
	}
}
