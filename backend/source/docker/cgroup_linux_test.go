package docker

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Figures come without an inspect: that of a container's process is found by its
// cgroup, and it is one whose cgroup can be opened.
func TestProcessesOfContainersAreFoundByTheirCgroups(t *testing.T) {
	engineHere(t)
	name := start(t, "found", "--", "sleep", "1000")
	m, err := readMounts()
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Fields(docker(t, "inspect", "--format", "{{.Id}} {{.State.Pid}}", name))
	buf := make([]byte, 4<<10)
	found := m.processes(buf)
	if pid, _ := strconv.Atoi(said[1]); !slices.Equal(found[said[0]], []int{pid}) {
		t.Fatalf("found processes %v for %s; the engine says %s", found[said[0]], said[0], said[1])
	}
	r, err := m.open(said[0], found[said[0]][0], 0, buf)
	if err != nil {
		t.Fatal(err)
	}
	r.close()

	// The whole of it: the inspects that follow do not restart the figures.
	src := sourcetest.Run(t, New(Config{}))
	sourcetest.Wait(src, "figures", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.CPUPercent >= 0 })
	})
	sourcetest.Wait(src, "an inspect", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return !c.Started.IsZero() && c.CPUPercent >= 0 })
	})
}

// What the first measurement of the running containers costs before the engine has said
// anything: all that this host runs are opened and read.
func BenchmarkOpenRunning(b *testing.B) {
	benchContainers(b, "meet")
	m, err := readMounts()
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		readers := m.openRunning(0)
		n = len(readers)
		for _, c := range readers {
			c.reader.close()
		}
	}
	b.ReportMetric(float64(n), "containers")
}
