package main

import (
	"fmt"
	"html"
	"image/color"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
)

// Geometry of a cell in the picture, in pixels.
const (
	cellWidth, cellHeight = 8.4, 17
	fontSize              = 14
)

// svg draws a frame with its escape sequences as a picture.
func svg(frame string, w, h int) string {
	scr := uv.NewScreenBuffer(w, h)
	uv.NewStyledString(frame).Draw(scr, scr.Bounds())
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="%d">`+"\n",
		cellWidth*float64(w)+16, cellHeight*h+16, fontSize)
	b.WriteString(`<rect width="100%" height="100%" rx="6" fill="#16181d"/>` + "\n")
	for y := range h {
		for x := 0; x < w; {
			c := scr.CellAt(x, y)
			if c == nil || c.Content == "" {
				x++
				continue
			}
			// A run of cells of one style is one element; a wide one stands alone.
			text, n := c.Content, max(c.Width, 1)
			for c.Width == 1 {
				next := scr.CellAt(x+n, y)
				if next == nil || next.Width != 1 || next.Style != c.Style {
					break
				}
				text += next.Content
				n++
			}
			drawRun(&b, x, y, n, text, c.Style)
			x += n
		}
	}
	b.WriteString("</svg>")
	return b.String()
}

func drawRun(b *strings.Builder, x, y, n int, text string, st uv.Style) {
	fg, bg := cssColor(st.Fg, "#d5d8df"), cssColor(st.Bg, "")
	if st.Attrs&uv.AttrReverse != 0 {
		if bg == "" {
			bg = "#16181d"
		}
		fg, bg = bg, fg
	}
	px, py := 8+cellWidth*float64(x), 8+cellHeight*y
	if bg != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", px, py, cellWidth*float64(n), cellHeight, bg)
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	attr := ""
	if st.Attrs&uv.AttrBold != 0 {
		attr += ` font-weight="bold"`
	}
	if st.Attrs&uv.AttrFaint != 0 {
		attr += ` opacity="0.6"`
	}
	if st.Attrs&uv.AttrItalic != 0 {
		attr += ` font-style="italic"`
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="%s" textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve"%s>%s</text>`+"\n",
		px, py+13, fg, cellWidth*float64(n), attr, html.EscapeString(text))
}

// cssColor returns a colour as SVG writes it, or fallback for none.
func cssColor(c color.Color, fallback string) string {
	if c == nil {
		return fallback
	}
	r, g, bl, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, bl>>8)
}
