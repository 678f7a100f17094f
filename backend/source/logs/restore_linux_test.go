package logs

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/state"
)

// TestAWriterThatWouldWriteOverItIsAReason needs to know how others have a file open.
func TestAWriterThatWouldWriteOverItIsAReason(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.log")
	s := New(Config{Files: []string{p}, Rotations: []RotationRule{{Files: []string{p}, Rotation: Rotation{Mode: Rename}}}})
	d := startDaemon(t, p, ">")
	d.grown(10 << 10)
	undo := cleared(t, s, p) // no signal is sent
	if _, err := act(s, undo); err == nil || !strings.Contains(err.Error(), "still writes to") || !strings.Contains(err.Error(), "(sh)") {
		t.Errorf("got %v", err)
	}
	d.signal(10) // USR1
	d.grown(10 << 10)
	_, err := act(s, undo)
	if err == nil || !strings.Contains(err.Error(), "at a place of its own") || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v", err)
	}
	d.kill()
	if out, err := act(s, undo); err != nil || out.Undo != nil {
		t.Errorf("with nobody writing: %+v, %v", out, err)
	}
	numbered(t, p)
	if _, err := act(s, state.Action{Kind: state.LogRestore, Target: p, Args: undo.Args}); err == nil {
		t.Error("it was put back twice")
	}
}
