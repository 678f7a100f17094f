package adapter

import "testing"

func TestPoolKeepsTheDearest(t *testing.T) {
	p := NewPool(0)
	var all []chan struct{}
	for i := range poolSize {
		s := make(chan struct{}, 1)
		all = append(all, s)
		if !p.Park(s, float64(i+1)) {
			t.Fatal("there is place, and it was refused")
		}
	}
	late := make(chan struct{}, 1)
	if p.Park(late, 2) {
		t.Error("one that is hardly dearer pushed another out")
	}
	if !p.Park(late, 2.1) {
		t.Error("one that is much dearer was refused")
	}
	select {
	case <-all[0]:
	default:
		t.Error("the cheapest was not told to leave")
	}
	if !p.Park(all[5], 1) {
		t.Error("one that has a place lost it")
	}
	p.Forget(late)
	if !p.Park(all[0], 0.1) {
		t.Error("a free place was refused")
	}
}
