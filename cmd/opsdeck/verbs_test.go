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
		c               state.Container
		sampled, busied bool
	}{
		"listed":       {up(state.Container{CPUPercent: -1}), false, false},
		"with figures": {up(state.Container{CPUPercent: -1, Sampled: at}), false, false},
		"inspected":    {up(state.Container{CPUPercent: -1, Sampled: at, Limits: known}), true, false},
		"all":          {up(state.Container{CPUPercent: 0, Sampled: at, Limits: known}), true, true},
		"stopped":      {state.Container{State: "exited", CPUPercent: -1}, false, true},
		"stopped, all": {state.Container{State: "exited", CPUPercent: -1, Limits: known}, true, true},
	} {
		s := &state.Snapshot{Containers: state.Containers{List: []state.Container{tt.c}}}
		if got := sampled(s); got != tt.sampled {
			t.Errorf("%s: sampled is %v", name, got)
		}
		if got := busied(s); got != tt.busied {
			t.Errorf("%s: busied is %v", name, got)
		}
	}
	many := &state.Snapshot{Containers: state.Containers{List: make([]state.Container, manyStopped)}}
	if !sampled(many) {
		t.Error("hundreds of stopped ones are waited for")
	}
}
