package docker

import (
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestErrorLinesAMinuteAreCountedOverTheWindow(t *testing.T) {
	engineHere(t)
	level := func(line string) state.Level { return scan.Parse(line).Level }
	src := New(Config{Level: level})
	const script = "echo INFO fine; echo ERROR one >&2; echo ERROR two; echo plain; sleep 1000"
	for _, tty := range []string{"", "-t"} {
		t.Run("tty "+tty, func(t *testing.T) {
			args := []string{"--label", "a=b"}
			if tty != "" {
				args = append(args, tty)
			}
			began := time.Now()
			name := start(t, "errors"+tty, append(args, "--", "sh", "-c", script)...)
			r := sourcetest.Run(t, src)
			s := sourcetest.Wait(r, "it runs", func(s state.Containers) bool { return s.Container(name) != nil })
			// Until all four lines are there, as the log's own time has it.
			ctx := t.Context()
			a := state.Action{Kind: state.ContainerRestart, Target: name}
			cli, err := src.engine()
			if err != nil {
				t.Fatal(err)
			}
			until := time.Now().Add(time.Minute)
			sourcetest.Until(t, "there are two error lines", func() bool {
				rate, err := src.errorRate(ctx, cli, s.Container(name).ID, began, until)
				if err != nil {
					t.Fatal(err)
				}
				n := rate * until.Sub(began).Minutes()
				return n > 1.9 && n < 2.1
			})
			f := src.Figures(ctx, a, began.Add(-time.Hour), began.Add(-time.Minute))
			if len(f) != 1 || f[0].Value != 0 || f[0].Title != "error lines" {
				t.Errorf("before it was there: %+v", f)
			}
			r.Stop()
		})
	}
	if f := New(Config{Level: level}).Figures(t.Context(), state.Action{Kind: state.ContainerStop, Target: "x"}, time.Now(), time.Now()); f[0].Value >= 0 {
		t.Errorf("without an engine: %+v, want unknown", f)
	}
}
