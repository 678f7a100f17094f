package engine

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/opsdeck/opsdeck/backend/state"
)

const tellsPolicy = `import os, time
first = []
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        policy = os.sched_getscheduler(0)
        if os.fork() == 0:
            with open('child', 'w') as f: f.write(str(os.sched_getscheduler(0)))
            os._exit(0)
        os.wait()
        with open('child') as f: child = int(f.read())
        time.sleep(0.2)
        first.append(policy)
        return [{'policy': first[-1], 'child': child, 'later': os.sched_getscheduler(0), 'fetch': len(first)}]
`

// An adapter whose last fetch took little of the processor is ahead of others for a
// moment when it is asked again, where the engine may do that; what it starts is not.
func TestFrugalAdapterGoesAheadForAMoment(t *testing.T) {
	needPython(t)
	needProc(t)
	want := 0
	allowed := make(chan bool)
	go func() { // the thread is thrown away
		runtime.LockOSThread()
		allowed <- unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1}, 0) == nil
	}()
	if <-allowed && places() > 0 {
		want = unix.SCHED_RR | 0x40000000 // SCHED_RESET_ON_FORK
	}
	r := newRig(t, adapterOf("x", tellsPolicy))
	r.start(Config{Interval: time.Hour})
	r.module("t/x", "fetches", healthy)
	for fetch := 1; fetch <= 2; fetch++ {
		if fetch > 1 {
			if _, err := r.do(state.ModuleFetch, "t/x", nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		r.result("t/x", fmt.Sprintf(`[{"policy":%d,"child":0,"later":0,"fetch":%d}]`, (fetch-1)*want, fetch))
	}
	if n := len(r.e.launcher.ahead); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}
