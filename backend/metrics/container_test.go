package metrics

import (
	"math"
	"testing"
	"time"
)

func TestContainersPastIsReadWithItsGaps(t *testing.T) {
	snap := full()
	c := &snap.Containers.List[0]
	c.State, c.Sampled, c.MemBytes = "running", start, 1000
	b := newBench(t, snap)
	for i := range 12 { // three minutes at half a core
		c.CPUSeconds = 100 + 7.5*float64(i)
		b.sample()
	}
	b.at = b.at.Add(10 * time.Minute) // nothing ran
	for i := range 12 {
		c.CPUSeconds = 500 + 15*float64(i)
		b.sample()
	}
	got, err := b.store.Container(t.Context(), c.ID, b.at.Add(-15*time.Second), 20*time.Minute, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.CPU) != 40 || len(got.NetTx) != 40 {
		t.Fatalf("%d samples, want 40", len(got.CPU))
	}
	if cpu, mem := got.CPU[39], got.Mem[39]; math.Abs(cpu-100) > 1 || mem != 1000 {
		t.Errorf("at its end %v %% and %v bytes, want 100 and 1000", cpu, mem)
	}
	known, half := 0, 0
	for _, v := range got.CPU {
		if v >= 0 {
			known++
		}
		if math.Abs(v-50) < 1 {
			half++
		}
	}
	if known < 10 || known > 18 || half < 5 {
		t.Errorf("CPU %v: want half a core, a gap, a whole core", got.CPU)
	}
	if none, err := b.store.Container(t.Context(), "nobody\"}", b.at, time.Hour, 30*time.Second); err != nil || none.CPU[0] != -1 {
		t.Errorf("of a container that is not there: %v, %v", none.CPU, err)
	}
}
