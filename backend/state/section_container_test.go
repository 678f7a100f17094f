package state

import (
	"testing"
	"time"
)

func TestContainersAreListedOnceTheyAreKnown(t *testing.T) {
	at, known := time.Now(), Limits{Known: true}
	up := func(c Container) Container { c.State = "running"; return c }
	for name, tt := range map[string]struct {
		c                 Container
		sampled, detailed bool
	}{
		"listed":       {up(Container{CPUPercent: -1}), false, false},
		"with figures": {up(Container{CPUPercent: -1, Sampled: at}), true, false},
		"inspected":    {up(Container{CPUPercent: -1, Sampled: at, Limits: known}), true, false},
		"all":          {up(Container{CPUPercent: 0, Sampled: at, Limits: known}), true, true},
		"stopped":      {Container{State: "exited", CPUPercent: -1}, true, false},
		"stopped, all": {Container{State: "exited", CPUPercent: -1, Limits: known}, true, true},
	} {
		s := &Snapshot{Containers: Containers{List: []Container{tt.c}}}
		if got := containersSection.Sampled(s); got != tt.sampled {
			t.Errorf("%s: sampled is %v", name, got)
		}
		if got := containersSection.Detailed(s); got != tt.detailed {
			t.Errorf("%s: detailed is %v", name, got)
		}
	}
	many := &Snapshot{Containers: Containers{List: make([]Container, manyStopped)}}
	if !containersSection.Detailed(many) {
		t.Error("hundreds of stopped ones are waited for")
	}
}
