package tui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/views/pane"
)

// keptAnswers bounds how many answers to one question are kept.
const keptAnswers = 50

// prompt is the line at the bottom that asks for a search, a filter, a time.
type prompt struct {
	cmd   pane.Command
	q     pane.Question
	input textinput.Model
	was   string
	wrong string // what is wrong with the text
	// back is how far up in the earlier answers one is, 0 for the text of one's own.
	back int
	own  string
	// finds is the open detail that is searched; nil for the pane itself.
	finds pane.Finder
}

// ask opens the prompt for a command that wants text.
func (m *Model) ask(c pane.Command) {
	p := &prompt{cmd: c, input: newInput(m.env.Theme)}
	if x, ok := m.pane().(pane.Finder); ok && c == pane.Search && x.Finds() {
		p.q.Label, p.finds = "search", x
	} else if x, ok := m.pane().(pane.Asker); ok {
		if p.q, ok = x.Question(c); !ok {
			m.nothing(c)
			return
		}
		p.input.SetValue(p.q.Text)
	} else if x, ok := m.pane().(pane.Filterer); ok && c == pane.Search {
		p.q.Label, p.was = "filter", x.Filter()
		if len(m.pane().Info().Filters) > 0 {
			p.q.Hint = "words, state:text, not, or, (...): ? lists all"
		}
		p.input.SetValue(p.was)
	} else {
		m.say("there is nothing to search here")
		return
	}
	p.input.Focus()
	p.input.CursorEnd()
	p.live(m)
	m.prompt = p
}

func (p *prompt) spans(m *Model) []pane.Span {
	t := m.env.Theme
	v := []rune(p.input.Value())
	at := min(p.input.Position(), len(v))
	here, rest := " ", ""
	if at < len(v) {
		here, rest = string(v[at]), string(v[at+1:])
	}
	out := []pane.Span{{Ink: t.Key, Text: " " + p.q.Label + " "}, {Ink: t.Text, Text: string(v[:at])}, {Ink: t.MatchHere, Text: here}, {Ink: t.Text, Text: rest}}
	switch {
	case p.wrong != "":
		return append(out, pane.Span{Ink: t.Bad, Text: "  " + t.Wrong + " " + p.wrong})
	case len(v) == 0 && p.q.Hint != "":
		return append(out, pane.Span{Ink: t.Faint, Text: "  " + p.q.Hint})
	}
	if words := p.completions(); len(words) > 0 {
		return append(out, pane.Span{Ink: t.Faint, Text: "  tab: " + strings.Join(words[:min(6, len(words))], " ")})
	}
	return append(out, pane.Span{Ink: t.Faint, Text: "  enter keeps, esc cancels"})
}

// completions returns the words that begin as the last one does.
func (p *prompt) completions() (out []string) {
	word := p.lastWord()
	if word == "" {
		return nil
	}
	for _, w := range p.q.Words {
		if w != word && strings.HasPrefix(w, word) {
			out = append(out, w)
		}
	}
	return out
}

func (p *prompt) lastWord() string {
	v := p.input.Value()
	return strings.TrimLeft(v[strings.LastIndexAny(v, " ,()")+1:], "!")
}

// live filters a list while one types.
func (p *prompt) live(m *Model) {
	if x, ok := m.pane().(pane.Filterer); ok && p.finds == nil {
		x.SetFilter(p.input.Value())
		if err := x.Wrong(); err != nil {
			p.wrong = err.Error()
		}
	}
}

func (m *Model) promptKey(k tea.KeyPressMsg) tea.Cmd {
	p := m.prompt
	asked := m.asked[string(p.cmd)]
	switch k.String() {
	case "enter":
		if p.finds != nil {
			m.prompt = nil
			return p.finds.Find(p.input.Value())
		}
		x, ok := m.pane().(pane.Asker)
		if !ok {
			m.prompt = nil
			return nil
		}
		text := p.input.Value()
		cmd, err := x.Answer(p.cmd, text)
		if err != nil {
			p.wrong = err.Error()
			return nil
		}
		m.prompt = nil
		if text != "" && p.cmd != pane.Save {
			asked = append(slices.DeleteFunc(asked, func(s string) bool { return s == text }), text)
			m.asked[string(p.cmd)] = asked[max(0, len(asked)-keptAnswers):]
		}
		return cmd
	case "esc", "ctrl+c":
		m.prompt = nil
		if x, ok := m.pane().(pane.Filterer); ok && p.finds == nil {
			x.SetFilter(p.was)
		}
		return nil
	case "tab":
		if words := p.completions(); len(words) > 0 {
			p.input.SetValue(strings.TrimSuffix(p.input.Value(), p.lastWord()) + words[0])
			p.input.CursorEnd()
		}
	case "up", "down":
		n := 1
		if k.String() == "down" {
			n = -1
		}
		if p.back == 0 {
			p.own = p.input.Value()
		}
		p.back = max(0, min(p.back+n, len(asked)))
		text := p.own
		if p.back > 0 {
			text = asked[len(asked)-p.back]
		}
		p.input.SetValue(text)
		p.input.CursorEnd()
	default:
		p.input, _ = p.input.Update(k)
	}
	p.wrong = ""
	p.live(m)
	return nil
}
