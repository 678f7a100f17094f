package tui

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Run shows the console on the terminal until the user quits, the terminal hangs
// up, the process is asked to end or ctx does. It gives the terminal back clean in
// every one of these, on a panic and while suspended. Only a panic, or a terminal
// that cannot be used, is an error.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := New(o)
	m.ctx = ctx
	profile, more := colours(os.Environ())
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithoutSignalHandler(), tea.WithColorProfile(profile), tea.WithFPS(fps))
	m.released = func() { closeReader(p) }
	m.pace = sync.OnceValue(func() *pace { return paceOf(p) })
	var wg sync.WaitGroup
	wg.Add(1)
	if more {
		go func() { // tmux may take its time, or hang: nobody waits for it
			if colorprofile.Detect(os.Stdout, os.Environ()) == colorprofile.TrueColor {
				p.Send(tea.CapabilityMsg{Content: "RGB"})
			}
		}()
	}
	sig := make(chan os.Signal, 4)
	signal.Notify(sig, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT, syscall.SIGTSTP)
	pause := make(chan struct{}, 1)
	m.suspend = func() {
		select {
		case pause <- struct{}{}:
		default:
		}
	}
	go func() {
		defer wg.Done()
		defer signal.Stop(sig)
		for {
			select {
			case <-ctx.Done():
				return
			case <-pause:
				suspend(p)
			case s := <-sig:
				if s == syscall.SIGTSTP {
					suspend(p)
					continue
				}
				p.Quit()
			}
		}
	}()
	_, err := p.Run()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) && !errors.Is(err, tea.ErrProgramPanic) {
		err = nil
	}
	cancel()
	wg.Wait()
	m.work.close()
	if o.Save != nil && !o.Wall {
		if serr := o.Save(m.Settings()); err == nil {
			err = serr
		}
	}
	return err
}

// colours returns those that the terminal surely has, from what can be told at once;
// more says that tmux may know of more.
func colours(environ []string) (profile colorprofile.Profile, more bool) {
	environ = slices.DeleteFunc(environ, func(v string) bool {
		tmux := strings.HasPrefix(v, "TMUX=")
		more = more || tmux
		return tmux
	})
	profile = colorprofile.Detect(os.Stdout, environ)
	return profile, more && profile == colorprofile.ANSI256
}

// suspend gives the terminal back, stops the process group, and takes the
// terminal again when it is continued. Bubble Tea's own way ends in SIGTSTP, which
// the Go runtime swallows once a program has asked to be told of it.
func suspend(p *tea.Program) {
	if p.ReleaseTerminal() != nil {
		return
	}
	closeReader(p)
	// Threads run on for a moment after the signal: only its counterpart says that
	// the stop is over.
	cont := make(chan os.Signal, 1)
	signal.Notify(cont, syscall.SIGCONT)
	defer signal.Stop(cont)
	if syscall.Kill(0, syscall.SIGSTOP) == nil {
		<-cont
	}
	if p.RestoreTerminal() == nil {
		p.Send(tea.ResumeMsg{})
	}
}

// Render returns one frame of w by h cells without a terminal, with its escape
// sequences. A nil snapshot is the first frame, before anything is known.
func Render(s *state.Snapshot, o Options, w, h int) string {
	if o.Clock == nil && s != nil {
		at := s.At
		o.Clock = func() time.Time { return at }
	}
	m := New(o)
	m.touched = true
	m.resize(w, h)
	if s != nil {
		m.live = s
		m.apply(s)
	}
	return m.draw()
}
