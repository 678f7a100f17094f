package tui

import (
	"fmt"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// line returns the logs with one more line in the first source.
func line(l state.Logs, n int) state.Logs {
	l.Sources = append([]state.LogSource(nil), l.Sources...)
	l.Sources[0].Lines++
	id := l.Sources[0].ID
	recs := append([]state.LogRecord(nil), l.Tails[id].Records...)
	recs = append(recs, state.LogRecord{Seq: recs[len(recs)-1].Seq + 1, Nanos: fake.Now.UnixNano() + int64(n), Text: fmt.Sprintf("flowing %d", n)})
	tails := map[string]state.Tail{}
	for k, v := range l.Tails {
		tails[k] = v
	}
	tails[id] = state.Tail{Records: recs}
	l.Tails = tails
	return l
}

// However long the flow lasts and wherever the focus is, each line is on the
// screen at most lineFrame after its snapshot.
func TestFlowingLinesAreShownAtOnce(t *testing.T) {
	d := drive(t, "incident", nil)
	d.pass(10 * time.Second)
	logs := d.snap.Logs
	c := d.snap.Containers
	c.List = append([]state.Container(nil), c.List...)
	c.List[0].CPUPercent = 77.7
	for i := range 40 {
		d.now = d.now.Add(lineFrame)
		logs = line(logs, i)
		d.show(d.snap, logs, c)
		d.sees(fmt.Sprintf("flowing %d", i))
	}
	d.lacks("77.7%") // the other panes wait for their tick
	d.pass(time.Second)
	d.sees("77.7%")
}

// Lines that come faster than frames are drawn together, and the last of them too.
func TestBurstOfLinesCostsOneFrame(t *testing.T) {
	d := drive(t, "incident", nil)
	d.pass(10 * time.Second)
	logs := line(d.snap.Logs, 0)
	d.now = d.now.Add(lineFrame)
	d.show(d.snap, logs)
	d.sees("flowing 0")
	logs = line(logs, 1)
	s := d.snap.With(d.snap.Version+1, d.now, logs)
	_, cmd := d.m.Update(snapshotMsg{s})
	d.lacks("flowing 1")
	d.m.Update(snapshotMsg{s.With(s.Version+1, d.now, line(logs, 2))})
	d.lacks("flowing 2")
	d.now = d.now.Add(lineFrame)
	d.run(cmd)
	d.sees("flowing 1", "flowing 2")
}

// Nobody is disturbed by lines while the stream is paused or out of sight.
func TestUnseenLinesCostNoFrame(t *testing.T) {
	for _, keys := range [][]string{{"3", "f"}, {"5", "k", "1"}} {
		d := drive(t, "incident", nil)
		d.press(keys...)
		d.pass(10 * time.Second)
		d.screen()
		d.now = d.now.Add(lineFrame)
		d.show(d.snap, line(d.snap.Logs, 1))
		if d.m.dirty {
			t.Errorf("after %v a line that cannot be seen was drawn", keys)
		}
	}
}
