package host

import (
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// netTimes are the last counts of each network interface.
type netTimes struct {
	at   time.Time
	last map[string][2]float64
}

// rates turns counts of bytes into bytes a second since the last call.
func (n *netTimes) rates(list []state.NetInterface) {
	now := time.Now()
	secs := now.Sub(n.at).Seconds()
	next := make(map[string][2]float64, len(list))
	for i := range list {
		x := &list[i]
		next[x.Name] = [2]float64{x.RxRate, x.TxRate}
		was, ok := n.last[x.Name]
		if !ok || x.RxRate < was[0] || x.TxRate < was[1] || secs <= 0 { // new, or counted anew
			x.RxRate, x.TxRate = -1, -1
			continue
		}
		x.RxRate, x.TxRate = (x.RxRate-was[0])/secs, (x.TxRate-was[1])/secs
	}
	n.at, n.last = now, next
}

const (
	// A disk's trend is that of the last hour, sampled once in every half minute, and
	// known after ten minutes.
	fillEvery, fillWindow, minFill = 30 * time.Second, time.Hour, 10 * time.Minute
	// farOff is the longest forecast: beyond it a trend says nothing.
	farOff = 90 * 24 * time.Hour
)

// filling is how full disks were.
type filling struct{ disks map[string][]level }

type level struct {
	at    time.Time
	avail float64
}

// forecast sets when each disk is full at the rate of the last hour.
func (f *filling) forecast(disks []state.Disk, now time.Time) {
	if f.disks == nil {
		f.disks = map[string][]level{}
	}
	there := map[string]bool{}
	for i := range disks {
		d := &disks[i]
		there[d.Mount] = true
		ls := f.disks[d.Mount]
		if len(ls) == 0 || now.Sub(ls[len(ls)-1].at) >= fillEvery {
			ls = append(ls, level{now, d.Avail})
			for now.Sub(ls[0].at) > fillWindow {
				ls = ls[1:]
			}
			f.disks[d.Mount] = ls
		}
		d.Full = full(ls, d.Avail, now)
	}
	for mount := range f.disks {
		if !there[mount] {
			delete(f.disks, mount)
		}
	}
}

// full returns avail over the least-squares slope of the levels, negative for never.
func full(ls []level, avail float64, now time.Time) time.Duration {
	if len(ls) < 3 || now.Sub(ls[0].at) < minFill {
		return -1
	}
	var n, sx, sy, sxx, sxy float64
	for _, l := range ls {
		x := l.at.Sub(ls[0].at).Seconds()
		n, sx, sy, sxx, sxy = n+1, sx+x, sy+l.avail, sxx+x*x, sxy+x*l.avail
	}
	slope := (n*sxy - sx*sy) / (n*sxx - sx*sx) // bytes a second
	if slope >= 0 || avail/-slope > farOff.Seconds() {
		return -1
	}
	return time.Duration(avail / -slope * float64(time.Second))
}
