package host

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestProcessesAreReadOnlyWhileShown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	cmd := exec.Command("sh", "-c", "read line", "sh", "--db-password=hunter22", "--api-key", "abc123", "redis://:s3cret@h/0", "known-secret")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()

	s := New(func(text string) string { return strings.ReplaceAll(text, "known-secret", "***") })
	s.every = 20 * time.Millisecond
	r := sourcetest.Run(t, s)
	h := sourcetest.Wait(r, "figures", func(h state.Host) bool { return h.MemTotal > 0 })
	if len(h.Processes) != 0 {
		t.Error("processes are read although nobody looks")
	}
	s.Interest(state.Interests{{Topic: state.LookProcesses}})
	find := func(h state.Host, pid int) *state.Process {
		i := slices.IndexFunc(h.Processes, func(p state.Process) bool { return p.PID == pid })
		if i < 0 {
			return nil
		}
		return &h.Processes[i]
	}
	h = sourcetest.Wait(r, "this process with its CPU, and the child", func(h state.Host) bool {
		p := find(h, os.Getpid())
		return p != nil && p.CPUPercent >= 0 && find(h, cmd.Process.Pid) != nil
	})
	p := find(h, os.Getpid())
	for _, want := range []string{"tcp " + l.Addr().String(), "udp " + u.LocalAddr().String()} {
		if !slices.Contains(p.Ports, want) {
			t.Errorf("it listens on %v, want %s among them", p.Ports, want)
		}
	}
	if p.RSS < 1<<20 || p.Threads < 1 || p.User == "" || time.Since(p.Started) > time.Hour || p.Started.After(time.Now().Add(time.Second)) || p.Parent != os.Getppid() {
		t.Errorf("got %+v", p)
	}
	if got, want := find(h, cmd.Process.Pid).Command, "sh -c read line sh --db-password=*** --api-key *** redis://:***@h/0 ***"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.Interest(nil)
	sourcetest.Wait(r, "none once nobody looks", func(h state.Host) bool { return len(h.Processes) == 0 })
}

func TestADiskThatFillsIsForecast(t *testing.T) {
	var f filling
	at := time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)
	disks := []state.Disk{{Mount: "/", Avail: 100 << 30}, {Mount: "/data", Avail: 50 << 30}}
	for i := range 121 { // an hour, 100 MiB a minute
		disks[0].Avail = float64(100<<30 - i*50<<20)
		f.forecast(disks, at.Add(time.Duration(i)*30*time.Second))
		if i < 20 && disks[0].Full >= 0 {
			t.Fatalf("a forecast after %d samples", i)
		}
	}
	left := disks[0].Avail / float64(100<<20) * float64(time.Minute)
	if got := float64(disks[0].Full); got < 0.99*left || got > 1.01*left {
		t.Errorf("full in %s, want %s", disks[0].Full, time.Duration(left))
	}
	if disks[1].Full >= 0 {
		t.Errorf("a disk that does not fill is full in %s", disks[1].Full)
	}
}

func TestNetworkRatesAreOfTwoSamples(t *testing.T) {
	var n netTimes
	list := []state.NetInterface{{Name: "eth0", RxRate: 1000, TxRate: 500}}
	n.rates(list)
	if list[0].RxRate >= 0 {
		t.Errorf("a rate of one sample: %v", list[0])
	}
	n.at = n.at.Add(-2 * time.Second)
	list = []state.NetInterface{{Name: "eth0", RxRate: 3000, TxRate: 500}, {Name: "wg0", RxRate: 7}}
	n.rates(list)
	if got := list[0]; got.RxRate < 900 || got.RxRate > 1000 || got.TxRate != 0 || list[1].RxRate != -1 {
		t.Errorf("got %+v", list)
	}
	list = []state.NetInterface{{Name: "eth0", RxRate: 10}} // counted anew
	n.rates(list)
	if list[0].RxRate != -1 {
		t.Errorf("got %+v after the counters began anew", list)
	}
}

func BenchmarkProcesses(b *testing.B) {
	p := newProcesses(func(s string) string { return s })
	for b.Loop() {
		h := newHost()
		if err := read(&h); err != nil {
			b.Fatal(err)
		}
		p.read(&h)
	}
}
