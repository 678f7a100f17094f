// Package theme turns palettes into the inks and glyphs that the screen is
// drawn with. It owns every colour and every special character; nothing else in
// the console names one.
//
// It refuses to know what is drawn: a role says what a piece of text means
// (Good, Warn, Dim, Key), never where it stands.
//
// A [Theme] is never written after [New]; whoever wants other colours makes
// another.
//
// # Adding a palette
//
// Add a [Palette] to palette.go and its name to [Names].
//
// # Why inks are compiled
//
// A frame at 200x60 paints some thousand pieces of text. An [Ink] keeps the
// escape sequences that lipgloss made for its style, so that painting is string
// concatenation. Colours are written in full; Bubble Tea's renderer brings them
// down to what the terminal can show, except where nearest-colour matching would
// make greys vanish: for 16 colours there is a palette of its own.
package theme
