package tui

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// begin starts an action on its targets: at once if it is safe and asks for
// nothing, else with a dialog.
func (m *Model) begin(spec *state.Spec, targets []string) tea.Cmd {
	if m.o.Wall {
		m.say("the wall layout only looks")
		return nil
	}
	if !m.past.live() {
		m.say("this is the past: esc comes back to now, where one can act")
		return nil
	}
	if m.shown == nil {
		m.say("nothing is known yet")
		return nil
	}
	if m.held() != "" && !spec.Looks && !about(spec.Kind) {
		m.offer(spec.Title())
		return nil
	}
	var can []string
	var cannot []string
	for _, id := range targets {
		if spec.Of != nil {
			if of := spec.Of(m.shown, id); of != "" {
				id = of
			}
		}
		if slices.Contains(can, id) { // another row of the same target
			continue
		}
		if why := state.Why(m.shown, spec.Kind, id); why != "" {
			cannot = append(cannot, m.called(spec, id)+": "+why)
		} else {
			can = append(can, id)
		}
	}
	if len(can) == 0 {
		m.say(fmt.Sprintf("cannot %s %s", spec.Verb, strings.Join(cannot, "; ")))
		return nil
	}
	var fields []state.Field
	if spec.Fields != nil {
		fields = slices.Clone(spec.Fields(m.shown, can[0]))
		for _, id := range can[1:] { // what is not the same for all is proposed for none
			for i, f := range spec.Fields(m.shown, id) {
				if i < len(fields) && f.Default != fields[i].Default {
					fields[i].Default = ""
				}
			}
		}
	}
	for _, p := range m.panes { // what it shows is more to the point than a default
		x, ok := p.(pane.Proposer)
		if !ok || !hasSection(p.Info(), spec.Section) {
			continue
		}
		values := x.Propose(spec.Kind)
		for i, f := range fields {
			if v := values[f.Key]; v != "" && !f.Secret {
				fields[i].Default = v
			}
		}
	}
	secret := spec.Single
	for _, f := range fields {
		secret = secret || f.Secret
	}
	if len(can) > 1 && (spec.Risk == state.Typed || secret) {
		m.say(fmt.Sprintf("%s takes one %s at a time: esc takes the marks away", spec.Verb, spec.Noun))
		return nil
	}
	if spec.Risk == state.Safe && len(fields) == 0 {
		if m.askedJustNow(spec.Kind, can) {
			m.say(spec.Title() + ": asked already")
			return nil
		}
		return m.submit(spec, can, nil, nil, nil, "")
	}
	d := &actionDialog{spec: spec, targets: can, skipped: cannot, fields: fields}
	if spec.Given != nil { // what is on the screen now, not what comes while it is read
		d.given = map[string]map[string]string{}
		for _, id := range can {
			d.given[id] = spec.Given(m.shown, id)
		}
		d.shown = d.impact(m)
	}
	for _, f := range fields {
		in := newInput(m.env.Theme)
		in.SetValue(f.Default)
		if f.Secret {
			in.EchoMode = textinput.EchoPassword
			in.EchoCharacter = m.env.Theme.Secret
		}
		d.inputs = append(d.inputs, in)
		d.proposed = append(d.proposed, f.Default != "")
	}
	if spec.Risk == state.Typed {
		d.typed = true
		d.proposed = append(d.proposed, false)
		in := newInput(m.env.Theme)
		in.Placeholder = m.called(spec, can[0])
		d.inputs = append(d.inputs, in)
	}
	d.at = len(d.inputs) // on Cancel
	if len(d.inputs) > 0 {
		d.focus(0)
	}
	m.push(d)
	return nil
}

// impact returns what the action touches, as far as it is known now: some of it is only
// fetched while it is asked about. Where the answer goes with what was shown, that
// stays.
func (d *actionDialog) impact(m *Model) (out []string) {
	if d.shown != nil {
		return d.shown
	}
	for i, id := range d.targets {
		if i == 5 {
			return append(out, fmt.Sprintf("and %d more", len(d.targets)-5))
		}
		var lines []string
		if m.shown != nil {
			lines = policy.Impact(m.shown, d.spec, id)
		}
		if len(d.targets) > 1 && len(lines) == 0 {
			lines = []string{m.called(d.spec, id)}
		}
		out = append(out, lines...)
	}
	return out
}

// named returns what people call a row of a pane.
func (m *Model) named(info pane.Info, id string) string {
	specs := state.Specs()
	for i := range specs {
		if s := &specs[i]; s.Section == info.Section && s.Global == "" && m.shown != nil {
			return m.called(s, id)
		}
	}
	return id
}

// called returns a target's name for people.
func (m *Model) called(spec *state.Spec, id string) string {
	return spec.Called(m.shown, id)
}

// actionDialog asks before an action: what it touches, its fields, the target's name
// where the risk wants it typed. The cursor starts on the first field, or on
// Cancel where there is none.
type actionDialog struct {
	spec    *state.Spec
	targets []string
	skipped []string
	// shown is the impact as it was when it was asked; nil where it follows.
	shown  []string
	fields []state.Field
	inputs []textinput.Model
	typed  bool
	// proposed are the inputs whose default nobody has touched: what is typed there
	// takes its place.
	proposed []bool
	// given are the arguments of each target that go along unasked.
	given map[string]map[string]string
	// at is the input that has the focus; len(inputs) is Cancel, one more carries it out.
	at    int
	wrong string
}

func (d *actionDialog) hints() []hint {
	if d.at < len(d.inputs) {
		return []hint{{"esc", "cancels"}, {"tab", "next field"}, {"enter", "goes on"}}
	}
	return []hint{{"esc", "cancels"}, {"tab", "the other button"}, {"enter", "takes the marked one"}}
}

func (d *actionDialog) width() int { return 76 }

func (d *actionDialog) focus(i int) {
	n := len(d.inputs) + 2
	d.at = (i + n) % n
	for j := range d.inputs {
		if j == d.at {
			d.inputs[j].Focus()
		} else {
			d.inputs[j].Blur()
		}
	}
}

// touch takes a proposed value for the operator's own, or away.
func (d *actionDialog) touch(replace bool) {
	if d.proposed[d.at] && replace {
		d.inputs[d.at].SetValue("")
	}
	d.proposed[d.at] = false
}

func (d *actionDialog) paste(_ *Model, p tea.PasteMsg) {
	if d.at < len(d.inputs) {
		d.touch(true)
		d.inputs[d.at], _ = d.inputs[d.at].Update(p)
	}
}

func (d *actionDialog) key(m *Model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	typing := d.at < len(d.inputs)
	switch s := k.String(); {
	case s == "esc":
		d.forget()
		return true, nil
	case s == "tab", s == "down":
		d.focus(d.at + 1)
	case s == "shift+tab", s == "up":
		d.focus(d.at - 1)
	case s == "enter" && typing:
		d.focus(d.at + 1)
		if d.at == len(d.inputs) { // past Cancel when all is there
			if d.wrong = d.complete(m); d.wrong == "" {
				d.focus(d.at + 1)
			}
		}
	case s == "enter" && d.at == len(d.inputs):
		d.forget()
		return true, nil
	case s == "enter":
		if d.wrong = d.complete(m); d.wrong != "" {
			return false, nil
		}
		cmd := d.submit(m)
		d.forget()
		return true, cmd
	case typing:
		d.wrong = ""
		d.touch(k.Text != "" || s == "backspace" || s == "delete")
		d.inputs[d.at], _ = d.inputs[d.at].Update(k)
	case s == "left", s == "right", s == "h", s == "l":
		d.focus(len(d.inputs) + 1 - (d.at - len(d.inputs)))
	case s == "y":
		d.focus(len(d.inputs) + 1)
	case s == "n", s == "q":
		d.forget()
		return true, nil
	}
	return false, nil
}

// forget leaves no secret behind in the inputs.
func (d *actionDialog) forget() {
	for i := range d.inputs {
		d.inputs[i].Reset()
	}
}

// complete says what is missing, "" for nothing.
func (d *actionDialog) complete(m *Model) string {
	for i, f := range d.fields {
		if f.Required && strings.TrimSpace(d.inputs[i].Value()) == "" {
			return f.Label + " is empty: " + f.Hint
		}
	}
	if m.shown != nil {
		args := map[string]string{}
		for i, f := range d.fields {
			if !f.Secret {
				args[f.Key] = d.inputs[i].Value()
			}
		}
		for _, id := range d.targets {
			if why := policy.Check(m.shown, d.spec, id, args); why != "" {
				return why
			}
		}
	}
	if d.typed {
		name := m.called(d.spec, d.targets[0])
		if got := d.inputs[len(d.inputs)-1].Value(); got != name && got != d.targets[0] {
			return fmt.Sprintf("type %s to confirm", name)
		}
	}
	return ""
}

func (d *actionDialog) submit(m *Model) tea.Cmd {
	args := map[string]string{}
	secrets := map[string]state.Secret{}
	for i, f := range d.fields {
		if v := d.inputs[i].Value(); f.Secret {
			secrets[f.Key] = state.Secret(v)
		} else if v != "" {
			args[f.Key] = v
		}
	}
	confirmed := "yes"
	if d.typed {
		confirmed = d.targets[0]
	}
	return m.submit(d.spec, d.targets, args, d.given, secrets, confirmed)
}

func (d *actionDialog) draw(m *Model, w, h int) []string {
	t := m.env.Theme
	iw := w - 4
	var lines []string
	text := func(ink func(*pane.Line)) {
		l := pane.NewLine(t, iw, false)
		ink(l)
		lines = append(lines, l.String())
	}
	// wrapped puts text that may be longer than a line behind its mark.
	wrapped := func(mark string, markInk, ink theme.Ink, s string) {
		for i, part := range strings.Split(ansi.Wrap(s, max(4, iw-2), ""), "\n") {
			if i > 0 {
				mark = " "
			}
			text(func(l *pane.Line) { l.Put(markInk, mark+" ").Put(ink, part) })
		}
	}
	for _, s := range d.impact(m) {
		wrapped(t.Dot, t.Faint, t.Text, s)
	}
	for _, s := range d.skipped {
		wrapped(t.Caution, t.Warn, t.Warn, "left out: "+s)
	}
	if keep := max(0, h-6-2*len(d.inputs)); len(lines) > keep {
		lines = lines[:keep]
	}
	if len(lines) > 0 {
		text(func(*pane.Line) {})
	}
	for i := range d.inputs {
		label, hint := "", ""
		if i < len(d.fields) {
			label, hint = d.fields[i].Label, d.fields[i].Hint
		} else {
			label, hint = "Type the name", "to confirm: "+m.called(d.spec, d.targets[0])
		}
		ink := t.Dim
		if i == d.at {
			ink = t.Accent
		}
		lw := min(16, iw/3)
		line := inputLine(&d.inputs[i], iw-lw)
		if i == d.at && d.proposed[i] { // as text that is selected
			line = pane.NewLine(t, iw-lw, false).Put(t.MatchHere, ansi.Truncate(d.inputs[i].Value(), iw-lw-1, t.Ellipsis)).String()
		}
		lines = append(lines, pane.NewLine(t, lw, false).Col(ink, label, lw-1, false).String()+line)
		if i == d.at {
			text(func(l *pane.Line) { l.Gap(lw).Put(t.Faint, hint) })
		}
	}
	if d.wrong != "" {
		wrapped(t.Wrong, t.Bad, t.Bad, d.wrong)
	}
	yes := strings.ToUpper(d.spec.Verb[:1]) + d.spec.Verb[1:]
	lines = append(lines, buttons(t, iw, "Cancel", yes, d.at > len(d.inputs), d.at >= len(d.inputs)))
	name := m.called(d.spec, d.targets[0])
	if len(d.targets) > 1 {
		name = fmt.Sprintf("(%d)", len(d.targets))
	}
	head := yes + " " + d.spec.Noun + " " + name + "?"
	if d.spec.Global != "" {
		head = yes + " " + d.spec.Noun + "?"
	}
	return bordered(t, head, lines, w)
}
