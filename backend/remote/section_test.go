package remote

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// frameOf returns a frame of sections by name, as an engine would send it.
func frameOf(version uint64, sections map[state.SectionName]string) *frame {
	f := &frame{Version: version, At: time.Unix(100, 0), Versions: map[state.SectionName]uint64{}, Sections: map[state.SectionName]json.RawMessage{}}
	for name, text := range sections {
		f.Versions[name], f.Sections[name] = version, json.RawMessage(text)
	}
	return f
}

func TestASectionOfANewerEngineIsKeptUnderItsName(t *testing.T) {
	const text = `{"health":{"status":"ok"},"list":[{"name":"blue"}]}`
	s, err := frameOf(1, map[state.SectionName]string{"clusters": text}).apply(&state.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.HealthOf("clusters").Status; got != state.OK {
		t.Errorf("its health is %q, want ok", got)
	}
	// It goes on as it came: to a console behind this one, which may know it.
	f, err := newDiffer().frame(s)
	if got := string(f.Sections["clusters"]); err != nil || got != text {
		t.Errorf("it is sent on as %s, %v, want %s", got, err, text)
	}
	// The next frame without it leaves it as it is.
	s, err = frameOf(2, map[state.SectionName]string{"host": `{"hostname":"h","health":{"status":"ok"}}`}).apply(s)
	if err != nil || string(s.Unknown["clusters"].JSON) != text || s.Host.Hostname != "h" {
		t.Errorf("after another frame: %+v, %v", s.Unknown, err)
	}
}

func TestASectionThatIsNotUnderstoodGoesStaleWithTheReason(t *testing.T) {
	s, err := frameOf(1, map[state.SectionName]string{"queues": `{"health":{"status":"ok","last_ok":"2026-02-11T03:12:40Z"},"server":"redis://a"}`}).apply(&state.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	s, err = frameOf(2, map[state.SectionName]string{"queues": `{"health":{"status":"ok"},"server":["another","form"]}`, "alerts": `7`}).apply(s)
	if err != nil {
		t.Fatal(err)
	}
	h := s.Queues.Health
	if s.Queues.Server != "redis://a" || h.Status != state.Stale || !strings.Contains(h.Err, "use the same version on both sides") {
		t.Errorf("queues are %+v, want the last ones, stale", s.Queues)
	}
	if h := s.Alerts.Health; h.Status != state.Down || h.Err == "" {
		t.Errorf("alerts, never known, are %+v, want down", h)
	}
}
