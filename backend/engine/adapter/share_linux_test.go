package adapter

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

const tellsPolicy = `import os, time
first = []
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        policy, runs = os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))
        child = 0
        if len(first) % 2: # every second fetch: what one forks, the next one pays for
            if os.fork() == 0:
                with open('child', 'w') as f: f.write(str(os.sched_getscheduler(0)))
                os._exit(0)
            os.wait()
            with open('child') as f: child = int(f.read())
        time.sleep(0.2)
        first.append(policy)
        return [{'policy': first[-1], 'child': child, 'later': os.sched_getscheduler(0), 'fetch': len(first), 'runs': [runs, sorted(os.sched_getaffinity(0))]}]
`

// An adapter runs on all processors but the engine's. One whose last fetch took little
// of the processor is ahead of others for a moment when it is asked again, where the
// engine may do that, else on all; what it starts is not. On a host that is busy a fetch
// may take more than little: it is given some more, and one in two may go ahead.
func TestFrugalAdapterGoesAheadForAMoment(t *testing.T) {
	needPython(t)
	needProc(t)
	want := 0
	allowed := make(chan bool)
	go func() { // the thread is thrown away
		runtime.LockOSThread()
		allowed <- unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 1}, 0) == nil
	}()
	if <-allowed && aheadPlaces() > 0 {
		want = unix.SCHED_RR | 0x40000000 // SCHED_RESET_ON_FORK
	}
	l, r := loaded(t, tellsPolicy)
	most, all := adapterProcessors(), processors()
	if most == nil {
		most = all
	}
	runs := [2]string{listed(most), listed(all)}
	if want != 0 { // it goes ahead where it is
		runs[1] = runs[0]
	}
	told := func(policy, fetch int, first string) string {
		return fmt.Sprintf(`[{"policy":%d,"child":0,"later":0,"fetch":%d,"runs":[%s,%s]}]`, policy, fetch, first, runs[0])
	}
	if got := fetchedFrom(t, r); got != told(0, 1, runs[0]) {
		t.Fatalf("it begins with %s, want %s", got, told(0, 1, runs[0]))
	}
	for fetch := 2; ; fetch++ {
		behind := told(0, fetch, runs[0])
		got := fetchedFrom(t, r)
		if fetch%2 == 0 && got == told(want, fetch, runs[1]) {
			break
		}
		if fetch == 40 || got != behind && got != told(want, fetch, runs[1]) {
			t.Fatalf("it goes on with %s, want %s", got, told(want, fetch, runs[1]))
		}
	}
	if n := len(l.ahead); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

// listed returns a list as JSON.
func listed(list []int) string {
	b, _ := json.Marshal(list)
	return string(b)
}
