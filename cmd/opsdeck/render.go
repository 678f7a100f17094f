package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/tui"
	"github.com/opsdeck/opsdeck/views"
	"github.com/opsdeck/opsdeck/views/pane"
)

func newRender(g *globals) *cobra.Command {
	var pane, size string
	var asANSI, asSVG, asASCII bool
	var wait time.Duration
	cmd := &cobra.Command{Use: "render", Short: "print one frame of the console", Args: cobra.NoArgs,
		Long: "Prints one frame of the console, once every source has answered: for documentation,\nbug reports and scripts.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var w, h int
			if n, err := fmt.Sscanf(size+"\n", "%dx%d\n", &w, &h); n != 2 || err != nil || w < 1 || h < 1 || w > 1000 || h > 1000 {
				return usage("--size %q: expected columns and rows, such as 120x40", size)
			}
			if asANSI && asSVG {
				return usage("--ansi and --svg: one of them")
			}
			if pane != "" && !slices.Contains(paneNames(), pane) {
				return usage("--pane %q: expected one of %s", pane, strings.Join(paneNames(), ", "))
			}
			s, err := g.connect(cmd)
			if err != nil {
				return err
			}
			defer s.Stop()
			s.Watch(state.Interests{{Topic: state.LookLog, Key: state.AllContainers}})
			snap, err := settle(cmd.Context(), s.Session, sectionPatience)
			if err != nil {
				return err
			}
			if wait > 0 { // for histories to fill
				select {
				case <-cmd.Context().Done():
				case <-time.After(wait):
				}
				if snap, err = s.Wait(cmd.Context(), 0); err != nil {
					return err
				}
			}
			frame := tui.Render(snap, tui.Options{Pane: pane, NoColor: !asANSI && !asSVG || os.Getenv("NO_COLOR") != "", ASCII: asASCII, Actor: s.Actor()}, w, h)
			switch {
			case asSVG:
				frame = svg(frame, w, h)
			case !asANSI:
				frame = ansi.Strip(frame)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), frame)
			return err
		}}
	f := cmd.Flags()
	f.StringVar(&pane, "pane", "", "this `PANE` alone (default: the overview)")
	f.StringVar(&size, "size", "120x40", "columns and rows")
	f.BoolVar(&asANSI, "ansi", false, "with colours, as escape sequences")
	f.BoolVar(&asSVG, "svg", false, "as a picture")
	f.BoolVar(&asASCII, "ascii", false, "with ASCII alone")
	f.DurationVar(&wait, "wait", 0, "let histories fill for this long first")
	return cmd
}

// paneNames returns the words that --pane takes.
func paneNames() (names []string) {
	for _, p := range views.All(&pane.Env{Theme: theme.New(theme.Options{}), Now: time.Now, Local: time.Local}) {
		names = append(names, p.Info().Name)
	}
	return names
}
