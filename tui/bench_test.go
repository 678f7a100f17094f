package tui

import (
	"fmt"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// BenchmarkIdleSecond is what one second costs at 200x50 with 50 containers while
// nothing is touched: a snapshot with new figures, the tick, the frame.
func BenchmarkIdleSecond(b *testing.B) {
	now := fake.Now
	m := New(Options{Clock: func() time.Time { return now }, Local: time.UTC, Theme: "dark"})
	m.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
	s := fake.Many(20, 50)
	m.Update(snapshotMsg{s})
	b.ReportAllocs()
	for i := range b.N {
		now = now.Add(time.Second)
		c := s.Containers
		c.List = append([]state.Container(nil), c.List...)
		for k := range c.List {
			c.List[k].CPUPercent = float64((i+k)%400) / 10
		}
		s = s.With(s.Version+1, now, c)
		m.Update(snapshotMsg{s})
		m.Update(tickMsg(now))
		_ = m.View()
	}
}

// manyLines returns a snapshot with n records in one tail.
func manyLines(n int) *state.Snapshot {
	s := fake.Named("incident")
	l := s.Logs
	l.Tails = map[string]state.Tail{}
	recs := make([]state.LogRecord, n)
	for i := range recs {
		recs[i] = state.LogRecord{Seq: uint64(i + 1), Nanos: fake.Now.UnixNano() + int64(i)*20000, Level: state.LevelInfo, Text: fmt.Sprintf("2026-02-11T03:12:40Z request %d handled by worker %d in %d ms, cache miss, upstream nexus-gateway", i, i%16, i%90)}
	}
	l.Tails[l.Sources[0].ID] = state.Tail{Records: recs}
	l.Tails[l.Sources[1].ID] = s.Logs.Tails[l.Sources[1].ID]
	return s.With(s.Version+1, s.At, l)
}

// BenchmarkKeyToFrame is the time from a key to its frame at 200x50 while 50,000
// lines a second arrive: 5,000 new ones between two keys, 100,000 held.
func BenchmarkKeyToFrame(b *testing.B) {
	for _, bench := range []struct {
		name  string
		setup []string
		key   string
	}{
		{"follow", nil, "1"},
		{"scroll", []string{"5", "f"}, "k"},
		{"filtered", []string{"5", "f", "&", "7", "enter"}, "k"},
		{"search", []string{"5", "f", "/", "9", "9", "9", "9", "enter"}, "n"},
		{"error-none", []string{"5", "f"}, "e"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := manyLines(100000)
			m := New(Options{Clock: func() time.Time { return fake.Now }, Local: time.UTC, Theme: "dark"})
			m.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
			m.Update(snapshotMsg{s})
			press := func(k string) {
				msg := tea.KeyPressMsg{Code: rune(k[0]), Text: k}
				if k == "enter" {
					msg = tea.KeyPressMsg{Code: tea.KeyEnter}
				}
				m.Update(msg)
			}
			for _, k := range bench.setup {
				press(k)
			}
			id := s.Logs.Sources[0].ID
			recs := s.Logs.Tails[id].Records
			b.ResetTimer()
			var worst time.Duration
			for range b.N {
				b.StopTimer()
				last := recs[len(recs)-1]
				recs = recs[5000:len(recs):len(recs)]
				for i := range 5000 {
					r := recs[i]
					r.Seq, r.Nanos = last.Seq+uint64(i)+1, last.Nanos+int64(i+1)*20000
					recs = append(recs, r)
				}
				l := s.Logs
				l.Tails = map[string]state.Tail{id: {Records: recs}}
				s = s.With(s.Version+1, s.At, l)
				b.StartTimer()
				t := time.Now()
				m.Update(snapshotMsg{s})
				press(bench.key)
				_ = m.View()
				worst = max(worst, time.Since(t))
			}
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
		})
	}
}
