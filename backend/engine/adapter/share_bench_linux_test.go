package adapter

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// What the scheduling of adapters is worth: how long a fetch takes beside as many adapters
// as there are processors, which take all that they get. The quantiles are in
// milliseconds.

// BenchmarkCheapFetchBesideBusyAdapters fetches from an adapter that takes next to nothing
// of the processor: with real-time scheduling ("ahead"), as it is, and by priority alone.
func BenchmarkCheapFetchBesideBusyAdapters(b *testing.B) {
	const cheap = "@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        return [1]\n"
	b.Run("ahead", func(b *testing.B) { besideBusy(b, cheap, aheadPlaces(), false) })
	b.Run("priority", func(b *testing.B) { besideBusy(b, cheap, 0, false) })
}

// BenchmarkFetchBesideBusyAdapters fetches from an adapter that takes 20 ms of the
// processor: with the lowest priority for those that take much, as it is, and without.
func BenchmarkFetchBesideBusyAdapters(b *testing.B) {
	const works = "import time\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        end = time.process_time() + 0.02\n        while time.process_time() < end: pass\n        return [1]\n"
	b.Run("lowest", func(b *testing.B) { besideBusy(b, works, aheadPlaces(), false) })
	b.Run("equal", func(b *testing.B) { besideBusy(b, works, aheadPlaces(), true) })
}

// besideBusy measures the fetches of an adapter. places is how many may go ahead at once;
// with lifted the busy ones get their priority back ten times a second.
func besideBusy(b *testing.B, text string, places int, lifted bool) {
	needPython(b)
	needProc(b)
	l, py := launched(b)
	l.ahead = make(chan struct{}, places)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range runtime.NumCPU() {
		busy := load(b, l, py, "@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        while True: pass\n")
		wg.Go(func() { _, _ = busy.Fetch(ctx) })
		if lifted {
			wg.Go(func() { every(ctx, 100*time.Millisecond, func() { _ = busy.Lift() }) })
		}
	}
	measured := load(b, l, py, text)
	settled := time.After(2 * time.Second) // the busy ones are known as such
	<-settled
	var took []time.Duration
	for b.Loop() {
		from := time.Now()
		fetchedFrom(b, measured)
		took = append(took, time.Since(from))
		<-time.After(10 * time.Millisecond) // as before scheduled fetches it sleeps
	}
	slices.Sort(took)
	for _, q := range []int{50, 95, 99} {
		b.ReportMetric(float64(took[len(took)*q/100])/float64(time.Millisecond), fmt.Sprintf("p%d-ms", q))
	}
}

// every calls f at an interval until ctx ends.
func every(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}
