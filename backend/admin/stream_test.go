package admin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// consumer takes what a stream sends; delay is how long it takes over each write.
type consumer struct {
	delay  time.Duration
	header http.Header
	ids    []int64
	bytes  int
	beats  int // heartbeats
	late   int // events that were not of the newest beat when they were sent
}

func (c *consumer) Header() http.Header { return c.header }
func (c *consumer) WriteHeader(int)     {}
func (c *consumer) Flush()              {}

func (c *consumer) Write(b []byte) (int, error) {
	c.bytes += len(b)
	if bytes.HasPrefix(b, []byte(":")) {
		c.beats++
	} else {
		line, _, _ := bytes.Cut(b, []byte("\n"))
		id, err := strconv.ParseInt(strings.TrimPrefix(string(line), "id: "), 10, 64)
		if err != nil {
			return 0, err
		}
		c.ids = append(c.ids, id)
		if id != time.Now().UnixNano()/int64(pipelineEvery) {
			c.late++
		}
	}
	if c.delay > 0 {
		time.Sleep(c.delay) // the bubble's time
	}
	return len(b), nil
}

func snapshotOf(modules int) func() *state.Snapshot {
	s := &state.Snapshot{}
	for i := range modules {
		s.Modules.List = append(s.Modules.List, state.Module{ID: fmt.Sprintf("c/m%d", i), Category: "c", Platform: fmt.Sprintf("m%d", i), Status: state.ModuleInstalled})
	}
	return func() *state.Snapshot { return s }
}

// TestTenThousandEventsReachFiftyConsumers: those that keep up get each event once and
// in order, the slow ones always the newest, nobody waits for another, and an event
// is made once for all of them.
func TestTenThousandEventsReachFiftyConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, consumers, slow = 10_000, 50, 5
		s := newStream(pipelineEvery, snapshotOf(3), func(s string) string { return s })
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		all := make([]*consumer, consumers)
		for i := range all {
			all[i] = &consumer{header: http.Header{}}
			if i < slow {
				all[i].delay = time.Duration(i+2) * 3 * time.Second / 2 // 3 to 9 s over each event
			}
			wg.Go(func() { s.serve(all[i], httptest.NewRequestWithContext(ctx, "GET", "/", nil), 0) })
		}
		time.Sleep(events*pipelineEvery - pipelineEvery/2)
		cancel()
		wg.Wait()
		for i, c := range all {
			if c.late != 0 {
				t.Errorf("consumer %d was sent %d events that were not the newest", i, c.late)
			}
			for k := 1; k < len(c.ids); k++ {
				if step := c.ids[k] - c.ids[k-1]; step < 1 || i >= slow && step != 1 {
					t.Fatalf("consumer %d has event %d after %d", i, c.ids[k], c.ids[k-1])
				}
			}
			if n := len(c.ids); i >= slow && n < events || i < slow && (n > events*2/3 || n < events/8) {
				t.Errorf("consumer %d got %d events of %d", i, n, events)
			}
		}
		if s.made < events || s.made > events+2 {
			t.Errorf("%d events were made for %d beats: each is made once", s.made, events)
		}
	})
}

// TestAConsumerComesBackWithWhatItSaw: the same state is not sent again.
func TestAConsumerComesBackWithWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(pipelineEvery, snapshotOf(1), func(s string) string { return s })
		_, now := s.newest(time.Now())
		for _, tt := range []struct {
			seen         int64
			beats, first int
		}{{now, 2, 1}, {now - 1, 1, 0}, {0, 1, 0}} {
			ctx, cancel := context.WithCancel(t.Context())
			c := &consumer{header: http.Header{}}
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.serve(c, httptest.NewRequestWithContext(ctx, "GET", "/", nil), tt.seen)
			}()
			synctest.Wait()
			if c.beats != tt.beats || len(c.ids) != 1-tt.first {
				t.Errorf("with Last-Event-ID %d at %d: %d heartbeats and events %v", tt.seen, now, c.beats, c.ids)
			}
			cancel()
			<-done
		}
	})
}

// TestAStalledConsumerEndsAndHindersNobody uses real sockets: one never reads.
func TestAStalledConsumerEndsAndHindersNobody(t *testing.T) {
	s := newStream(5*time.Millisecond, snapshotOf(2000), func(s string) string { return s })
	s.patience = 200 * time.Millisecond
	ended := make(chan string, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, 0)
		ended <- r.URL.Path
	}))
	defer srv.Close()
	stalled, err := srv.Client().Get(srv.URL + "/stalled")
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Body.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/reading", nil)
	if err != nil {
		t.Fatal(err)
	}
	reading, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Body.Close()
	events, last := 0, int64(0)
	sc := bufio.NewScanner(reading.Body)
	sc.Buffer(nil, 4<<20)
	over := false
	for sc.Scan() && !(over && events > 50) {
		if id, ok := strings.CutPrefix(sc.Text(), "id: "); ok {
			n, _ := strconv.ParseInt(id, 10, 64)
			if n < last {
				t.Fatalf("event %d after %d", n, last)
			}
			last = n
			events++
		}
		select {
		case who := <-ended:
			if who != "/stalled" {
				t.Fatalf("%s ended", who)
			}
			over = true
		default:
		}
	}
	if !over {
		t.Errorf("the stalled one goes on; the reading one has %d events (%v)", events, sc.Err())
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := newStream(pipelineEvery, snapshotOf(0), func(s string) string { return s })
	for range maxStreams {
		if !s.authenticate() {
			t.Fatal("one of those that are allowed is refused")
		}
	}
	if s.authenticate() {
		t.Error("there is no bound")
	}
	s.leave()
	if !s.authenticate() {
		t.Error("whoever leaves makes no room")
	}
}

// BenchmarkPipelineEvent is one beat of 200 modules to 50 consumers: made once, written
// to each.
func BenchmarkPipelineEvent(b *testing.B) {
	s := newStream(time.Nanosecond, snapshotOf(200), func(s string) string { return s })
	c := &consumer{header: http.Header{}}
	b.ReportAllocs()
	now := time.Now()
	for i := 0; b.Loop(); i++ {
		text, _ := s.newest(now.Add(time.Duration(i)))
		for range 50 {
			c.bytes += len(text)
			if again, _ := s.newest(now.Add(time.Duration(i))); &again[0] != &text[0] {
				b.Fatal("it is made anew for each")
			}
		}
	}
}
