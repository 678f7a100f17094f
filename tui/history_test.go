package tui

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// other returns a value of v's type that is not v's.
func other(t *testing.T, v reflect.Value) reflect.Value {
	t.Helper()
	n := reflect.New(v.Type()).Elem()
	n.Set(v)
	switch x := v.Interface().(type) {
	case string:
		n.SetString(x + "x")
	case bool:
		n.SetBool(!x)
	case int:
		n.SetInt(int64(x) + 1)
	case float64:
		n.SetFloat(x + 1.5)
	case time.Time:
		n.Set(reflect.ValueOf(time.Unix(1_800_000_000, int64(x.Nanosecond())+1)))
	case map[string]string:
		n.Set(reflect.ValueOf(map[string]string{"k": x["k"] + "x"}))
	case []string:
		n.Set(reflect.ValueOf(append(x[:len(x):len(x)], "x")))
	case []float64:
		n.Set(reflect.ValueOf(append(x[:len(x):len(x)], 2.5)))
	case state.Limits:
		x.Memory++
		n.Set(reflect.ValueOf(x))
	default:
		t.Fatalf("a field of type %s: tell this test of it", v.Type())
	}
	return n
}

// Whatever changes of a container from one instant to the next is there when the time
// cursor goes back to either.
func TestThePastIsAsItWas(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	snap := func(i int, cs ...state.Container) *state.Snapshot {
		return &state.Snapshot{At: start.Add(time.Duration(i) * pastEvery), Containers: state.Containers{List: cs, CPUs: i}}
	}
	check := func(p *past, want ...state.Container) {
		t.Helper()
		got := p.at().Containers.List
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) || !got[i].Sampled.Equal(want[i].Sampled) {
				t.Errorf("got  %+v\nwant %+v", got[i], want[i])
			}
		}
	}
	plain := state.Container{ID: "a", Title: "web", CPUPercent: 12.5, MemLimit: math.MaxUint32, Sampled: start, CPUHistory: []float64{1}}
	for f := range reflect.TypeFor[state.Container]().Fields() {
		changed := plain
		field := reflect.ValueOf(&changed).Elem().FieldByIndex(f.Index)
		field.Set(other(t, field))
		var p past
		for i, c := range []state.Container{plain, changed, plain} {
			p.keep(snap(i, c))
		}
		for _, want := range []state.Container{plain, changed, plain} {
			p.move(1)
			check(&p, want)
		}
	}

	a, b := plain, plain
	b.ID, b.Title = "b", "db"
	var p past
	p.keep(snap(0, a, b))
	p.keep(snap(1, b, a))
	p.keep(snap(2, a))
	p.move(2)
	check(&p, b, a)
	shown := p.at()
	p.keep(snap(3, b))
	if p.at() != shown {
		t.Error("another snapshot is under the cursor, which did not move")
	}
	if r := p.kept[0].rows[0].facts; r != p.kept[1].rows[1].facts || r != p.kept[2].rows[0].facts {
		t.Error("a container that did not change is kept more than once")
	}
}

func TestThePastKeepsTheBusiestProcesses(t *testing.T) {
	all := make([]state.Process, 3*pastProcesses)
	for i := range all {
		all[i] = state.Process{PID: i, CPUPercent: float64(i * 7 % len(all))}
	}
	var p past
	p.keep(&state.Snapshot{At: time.Unix(1, 0), Host: state.Host{Processes: all}})
	p.move(1)
	got := p.at().Host.Processes
	if len(got) != pastProcesses || got[0].CPUPercent != float64(len(all)-1) || got[pastProcesses-1].CPUPercent != float64(len(all)-pastProcesses) {
		t.Errorf("got %+v", got)
	}
	if all[1].PID != 1 {
		t.Error("the list that is shown was put into another order")
	}
}

func BenchmarkPastOf200Containers(b *testing.B) {
	list := make([]state.Container, 200)
	for i := range list {
		list[i] = state.Container{ID: fmt.Sprint(i), Title: fmt.Sprint("c", i), State: "running"}
	}
	live := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for b.Loop() {
		was := live()
		var p past
		for i := range pastKept {
			p.keep(&state.Snapshot{At: time.Unix(int64(5*i), 0), Containers: state.Containers{List: append([]state.Container(nil), list...)}})
		}
		b.ReportMetric((live()-was)/1024, "KiB-kept")
		runtime.KeepAlive(&p)
	}
}
