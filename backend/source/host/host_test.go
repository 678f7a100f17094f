package host

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func fast(every time.Duration) *Source {
	s := New(func(s string) string { return s })
	s.every = every
	return s
}

func TestContract(t *testing.T) {
	sourcetest.Contract(t, sourcetest.Subject{
		New:   func(*testing.T) state.Source { return fast(10 * time.Millisecond) },
		Ready: func(s state.Section) bool { return s.(state.Host).MemTotal > 0 },
	})
}

func TestThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: CPU times are known on Linux only")
	}
	r := sourcetest.Run(t, fast(20*time.Millisecond))
	h := sourcetest.Wait(r, "CPU and history", func(h state.Host) bool { return h.CPUPercent >= 0 && len(h.CPUHistory) > 2 })
	if h.Cores < 1 || h.MemUsed <= 0 || h.MemUsed >= h.MemTotal || h.Uptime <= 0 || h.Load1 < 0 || h.CPUPercent > 100 || h.CPUSeconds["idle"] <= 0 {
		t.Errorf("got %+v", h)
	}
	for _, d := range h.Disks {
		if d.Total <= 0 || d.Avail > d.Total || !strings.HasPrefix(d.Mount, "/") {
			t.Errorf("disk %+v", d)
		}
	}
}

func TestBusy(t *testing.T) {
	a := cpuTimes{"user": 10, "system": 5, "idle": 100, "iowait": 1}
	b := cpuTimes{"user": 11, "system": 5.5, "idle": 102, "iowait": 1.5}
	if got := busy(a, b); got != 37.5 {
		t.Errorf("got %v, want 37.5", got)
	}
	if got := busy(nil, b); got != -1 {
		t.Errorf("one sample: got %v, want unknown", got)
	}
}

func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		h := newHost()
		if err := read(&h); err != nil {
			b.Fatal(err)
		}
	}
}
