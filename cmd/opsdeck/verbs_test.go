package main

import (
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestContainersAreListedOnceTheyAreKnown(t *testing.T) {
	at, known := time.Now(), state.Limits{Known: true}
	up := func(c state.Container) state.Container { c.State = "running"; return c }
	for name, tt := range map[string]struct {
		c                 state.Container
		sampled, detailed bool
	}{
		"listed":       {up(state.Container{CPUPercent: -1}), false, false},
		"with figures": {up(state.Container{CPUPercent: -1, Sampled: at}), true, false},
		"inspected":    {up(state.Container{CPUPercent: -1, Sampled: at, Limits: known}), true, false},
		"all":          {up(state.Container{CPUPercent: 0, Sampled: at, Limits: known}), true, true},
		"stopped":      {state.Container{State: "exited", CPUPercent: -1}, true, false},
		"stopped, all": {state.Container{State: "exited", CPUPercent: -1, Limits: known}, true, true},
	} {
		s := &state.Snapshot{Containers: state.Containers{List: []state.Container{tt.c}}}
		if got := sampled(s); got != tt.sampled {
			t.Errorf("%s: sampled is %v", name, got)
		}
		if got := detailed(s); got != tt.detailed {
			t.Errorf("%s: detailed is %v", name, got)
		}
	}
	many := &state.Snapshot{Containers: state.Containers{List: make([]state.Container, manyStopped)}}
	if !detailed(many) {
		t.Error("hundreds of stopped ones are waited for")
	}
}
