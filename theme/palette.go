package theme

import (
	"image/color"

	"charm.land/lipgloss/v2"
)

// Palette is the colours of a theme. A nil colour is the terminal's own.
type Palette struct {
	Text, Dim, Faint                 color.Color
	Border, Focus, Accent            color.Color
	Good, Warn, Bad, Info, Extra     color.Color
	SelectBG, MatchFG, MatchBG, Over color.Color
	// Attributes stand in for colours: reverse for the selection, underline for
	// matches. Used where there is no colour.
	Attributes bool
}

// Names are the themes that may be asked for. "auto" follows the terminal's background.
var Names = []string{"auto", "dark", "light", "contrast", "none"}

func hex(s string) color.Color { return lipgloss.Color(s) }

func dark() Palette {
	return Palette{
		Dim: hex("#8b93a7"), Faint: hex("#5c6478"),
		Border: hex("#454d61"), Focus: hex("#7aa2f7"), Accent: hex("#7aa2f7"),
		Good: hex("#8fbf7f"), Warn: hex("#e0af68"), Bad: hex("#f7768e"), Info: hex("#7dcfff"), Extra: hex("#bb9af7"),
		SelectBG: hex("#303446"), MatchFG: hex("#1a1b26"), MatchBG: hex("#e0af68"),
	}
}

func light() Palette {
	return Palette{
		Dim: hex("#5f6673"), Faint: hex("#8a909c"),
		Border: hex("#b3b8c2"), Focus: hex("#2458b3"), Accent: hex("#2458b3"),
		Good: hex("#2f7d32"), Warn: hex("#96600a"), Bad: hex("#af0000"), Info: hex("#0b7285"), Extra: hex("#7239b3"),
		SelectBG: hex("#dbe4f5"), MatchFG: hex("#1a1b26"), MatchBG: hex("#f2cf7d"),
	}
}

func contrast() Palette {
	return Palette{
		Dim: hex("#d0d0d0"), Faint: hex("#b0b0b0"),
		Border: hex("#a0a0a0"), Focus: hex("#ffff00"), Accent: hex("#ffff00"),
		Good: hex("#00ff5f"), Warn: hex("#ffd700"), Bad: hex("#ff5f5f"), Info: hex("#5fffff"), Extra: hex("#ff87ff"),
		SelectBG: hex("#00439c"), MatchFG: hex("#000000"), MatchBG: hex("#ffff00"),
	}
}

// basic returns the palette for terminals of 8 or 16 colours, by their indexes, readable on black
// and on white alike.
func basic() Palette {
	return Palette{
		Dim: nil, Faint: hex("8"), Border: hex("8"), Focus: hex("4"), Accent: hex("4"),
		Good: hex("2"), Warn: hex("3"), Bad: hex("1"), Info: hex("6"), Extra: hex("5"),
		Attributes: true,
	}
}

func none() Palette { return Palette{Attributes: true} }
