package theme

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// Ink paints text in one role.
type Ink struct {
	open, sel string
	style     lipgloss.Style
}

const reset = "\x1b[m"

// Paint wraps s in the ink; selected adds the selection's background.
func (k Ink) Paint(s string, selected bool) string {
	open := k.open
	if selected {
		open = k.sel
	}
	if open == "" || s == "" {
		return s
	}
	return open + s + reset
}

// Open returns the sequence that starts the ink, "" for none.
func (k Ink) Open(selected bool) string {
	if selected {
		return k.sel
	}
	return k.open
}

// Render paints s, not selected.
func (k Ink) Render(s string) string { return k.Paint(s, false) }

// Style returns the ink as a lipgloss style, for components that want one.
func (k Ink) Style() lipgloss.Style { return k.style }

// Theme is the inks, by role, and the glyphs.
type Theme struct {
	Name string
	// ASCII says that only ASCII may be drawn.
	ASCII bool
	Glyphs

	Text, Strong, Dim, Faint     Ink
	Border, Focus, Title, Accent Ink
	Good, Warn, Bad, Info, Extra Ink
	// Badge is for what must be seen: bad, reversed. Key is a key in a hint.
	Badge, Banner, Key Ink
	// Match marks a search hit; MatchHere the one at the cursor.
	Match, MatchHere Ink
}

// Options choose a theme.
type Options struct {
	// Name is one of Names; "" is "auto".
	Name string
	// Light says that the terminal's background is light; used by "auto" only.
	Light bool
	// Few says that the terminal has 16 colours or fewer.
	Few bool
	// NoColor overrides Name with "none".
	NoColor bool
	// ASCII draws borders and marks in ASCII.
	ASCII bool
}

// New makes a theme. An unknown name is taken for "auto".
func New(o Options) *Theme {
	name := o.Name
	if name != "dark" && name != "light" && name != "contrast" && name != "none" {
		name = "dark"
		if o.Light {
			name = "light"
		}
	}
	if o.NoColor {
		name = "none"
	}
	var p Palette
	switch {
	case name == "none":
		p = none()
	case o.Few:
		p = basic()
	case name == "light":
		p = light()
	case name == "contrast":
		p = contrast()
	default:
		p = dark()
	}
	t := &Theme{Name: name, ASCII: o.ASCII, Glyphs: unicodeGlyphs()}
	if o.ASCII {
		t.Glyphs = asciiGlyphs()
	}
	s := lipgloss.NewStyle
	ink := func(st lipgloss.Style) Ink {
		sel := st
		if p.Attributes {
			sel = sel.Reverse(true)
		} else {
			sel = sel.Background(p.SelectBG)
		}
		return Ink{open: opening(st), sel: opening(sel), style: st}
	}
	t.Text = ink(s())
	t.Strong = ink(s().Bold(true))
	t.Dim = ink(fg(s(), p.Dim))
	t.Faint = ink(fg(s(), p.Faint).Faint(p.Attributes && p.Faint == nil))
	t.Border = ink(fg(s(), p.Border).Faint(p.Attributes && p.Border == nil))
	t.Focus = ink(fg(s(), p.Focus).Bold(p.Attributes))
	t.Title = ink(s().Bold(true))
	t.Accent = ink(fg(s(), p.Accent).Bold(p.Accent == nil))
	t.Good = ink(fg(s(), p.Good))
	t.Warn = ink(fg(s(), p.Warn).Bold(p.Warn == nil))
	t.Bad = ink(fg(s(), p.Bad).Bold(true))
	t.Info = ink(fg(s(), p.Info))
	t.Extra = ink(fg(s(), p.Extra))
	t.Badge = ink(fg(s(), p.Bad).Bold(true).Reverse(true))
	t.Banner = ink(fg(s(), p.Warn).Bold(true).Reverse(true))
	t.Key = ink(fg(s(), p.Accent).Bold(true))
	if p.Attributes {
		t.Match = ink(s().Underline(true).Bold(true))
		t.MatchHere = ink(s().Reverse(true).Bold(true))
	} else {
		t.Match = ink(s().Foreground(p.MatchFG).Background(p.MatchBG))
		t.MatchHere = ink(s().Foreground(p.MatchFG).Background(p.MatchBG).Bold(true).Underline(true))
	}
	return t
}

func fg(s lipgloss.Style, c interface {
	RGBA() (r, g, b, a uint32)
}) lipgloss.Style {
	if c == nil {
		return s
	}
	return s.Foreground(c)
}

// opening returns the escape sequence that a style puts before its text.
func opening(s lipgloss.Style) string {
	open, _, _ := strings.Cut(s.Render("x"), "x")
	return open
}
