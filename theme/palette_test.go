package theme

import (
	"image/color"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// On terminals of 256 colours the nearest one is taken by perceived distance, and
// for some reds that is a grey: an error must not look like a remark.
func TestStatusColoursKeepTheirHueIn256(t *testing.T) {
	for name, p := range map[string]Palette{"dark": dark(), "light": light(), "contrast": contrast()} {
		for what, c := range map[string]color.Color{"good": p.Good, "warn": p.Warn, "bad": p.Bad, "info": p.Info} {
			want, got := strongest(c), strongest(ansi.Convert256(c))
			if got == 0 || got&want == 0 {
				t.Errorf("%s: %s becomes colour %d: its strongest parts are %03b, want %03b", name, what, ansi.Convert256(c), got, want)
			}
		}
	}
	if r, g, b, _ := ansi.Convert256(dark().SelectBG).RGBA(); r != g || g != b {
		t.Errorf("dark: the selection becomes colour %d, want a grey", ansi.Convert256(dark().SelectBG))
	}
}

// strongest returns the largest of red, green and blue as bits, 0 for a grey.
func strongest(c color.Color) int {
	r, g, b, _ := c.RGBA()
	most := max(r, g, b)
	bits := 0
	for i, v := range []uint32{r, g, b} {
		if v+0x1000 >= most {
			bits |= 1 << i
		}
	}
	if bits == 7 {
		return 0
	}
	return bits
}
