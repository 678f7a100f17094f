package backend

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Console is one attached console; it implements [Client].
type Console struct {
	hub      *Hub
	info     state.Console   // guarded by hub.mu, but for its ID and Actor
	interest state.Interests // guarded by hub.mu
}

// Attach registers a console for actor, which has to be closed. The first that may
// hold control gets it.
func (h *Hub) Attach(actor state.Actor) *Console {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attached++
	c := &Console{hub: h, info: state.Console{ID: fmt.Sprintf("c%d", h.attached), Actor: actor, Since: now, Active: now}}
	c.info.Control = c.info.Controls() && h.holder() == nil
	h.consoles[c] = struct{}{}
	h.presence()
	return c
}

// ID returns the console's among those of its hub.
func (c *Console) ID() string { return c.info.ID }

// Actor returns the console's user.
func (c *Console) Actor() state.Actor { return c.info.Actor }

// present returns the consoles in the order in which they came. The caller holds h.mu.
func (h *Hub) present() []*Console {
	list := make([]*Console, 0, len(h.consoles))
	for c := range h.consoles {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Console) int { return a.info.Since.Compare(b.info.Since) })
	return list
}

// presence publishes who is attached. The caller holds h.mu.
func (h *Hub) presence() {
	list := make([]state.Console, 0, len(h.consoles))
	for _, c := range h.present() {
		if c.info.Actor.Via != "cli" { // a command attaches for a moment and shows nothing
			list = append(list, c.info)
		}
	}
	h.workspace.Consoles = list
	h.own(h.workspace)
}

// holder returns the console in control, or nil. The caller holds h.mu.
func (h *Hub) holder() *Console {
	for c := range h.consoles {
		if c.info.Control {
			return c
		}
	}
	return nil
}

// giveControl gives control to c. The caller holds h.mu.
func (h *Hub) giveControl(c *Console) {
	if was := h.holder(); was != nil {
		was.info.Control = false
	}
	c.info.Control, c.info.Asked = true, time.Time{}
	h.presence()
}

// successor returns the console that gets control when its holder leaves: the one that
// asked for it first, else the one where a key was pressed last; nil if none is left. The caller holds h.mu.
func (h *Hub) successor() *Console {
	var best *Console
	for _, c := range h.present() {
		switch {
		case !c.info.Controls():
		case best == nil, !c.info.Asked.IsZero() && (best.info.Asked.IsZero() || c.info.Asked.Before(best.info.Asked)),
			best.info.Asked.IsZero() && c.info.Active.After(best.info.Active):
			best = c
		}
	}
	return best
}

// Wait returns what [Hub.Wait] does, with this console marked in the snapshot.
func (c *Console) Wait(ctx context.Context, after uint64) (*state.Snapshot, error) {
	s, err := c.hub.Wait(ctx, after)
	if err != nil {
		return nil, err
	}
	return s.For(c.info.ID), nil
}

// Submit submits an action as this console's actor; see [Hub.Submit]. All but the actions
// on control itself are refused while another console holds control.
func (c *Console) Submit(ctx context.Context, a state.Action) (state.ActionID, error) {
	a.Actor, a.Console = c.info.Actor, c.info.ID
	if c.info.Actor.Via == "cli" {
		a.Console = "" // a command is somebody's own hand: it acts, and its actor shows
	}
	return c.hub.actions.submit(ctx, a)
}

// seenBy returns the newest snapshot for the console of that ID, with the current
// consoles: what is published may be a tenth of a second old.
func (h *Hub) seenBy(id string) *state.Snapshot {
	s := h.Latest().For(id)
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Workspace.Consoles = h.workspace.Consoles
	return s
}

// Watch sets the interests of this console. It does not block.
func (c *Console) Watch(in state.Interests) {
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(in.Keys(state.LookKeys), c.interest.Keys(state.LookKeys)) {
		c.info.Active = time.Now()
		h.presence()
	}
	c.interest = in
	h.sendInterest()
}

// Close detaches the console. If it held control, another console gets it at once.
func (c *Console) Close() {
	h := c.hub
	h.mu.Lock()
	_, here := h.consoles[c]
	delete(h.consoles, c)
	var heir *Console
	if c.info.Control {
		if heir = h.successor(); heir != nil {
			h.giveControl(heir)
		}
	}
	h.presence()
	h.sendInterest()
	h.mu.Unlock()
	if here && heir != nil {
		h.journalHandover(heir, fmt.Sprintf("%s left: control went to %s", c.info.Title(), heir.info.Title()))
	}
}

// journalHandover journals that control changed hands without an action.
func (h *Hub) journalHandover(to *Console, why string) {
	if h.opts.Journal == nil || h.actions.stopping() {
		return // everybody leaves: control goes to nobody
	}
	if err := h.opts.Journal.Append(state.Entry{Phase: state.PhaseEnd, Kind: state.ControlGive, Target: to.info.Title(),
		Actor: state.Actor{User: "opsdeck", Via: "engine"}, Outcome: "ok", Detail: h.actions.text(why)}); err != nil {
		h.log.Error("control not journalled", "err", err)
	}
	h.actions.mu.Lock()
	h.actions.changed()
	h.actions.mu.Unlock()
}

// controller executes the actions on control.
type controller struct{ *Hub }

// Kinds implements state.Executor.
func (controller) Kinds() []state.Kind {
	return []state.Kind{state.ControlRequest, state.ControlTake, state.ControlGive}
}

// Execute implements state.Executor.
func (h controller) Execute(_ context.Context, a state.Action, _ func(string, float64)) (state.Outcome, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	find := func(id string) *Console {
		for c := range h.consoles {
			if c.info.ID == id {
				return c
			}
		}
		return nil
	}
	was, you := h.holder(), find(a.Console)
	from := "nobody"
	if was != nil {
		from = was.info.Title()
	}
	if you == nil && a.Kind != state.ControlGive {
		return state.Outcome{}, fmt.Errorf("%s: the console that asked has left", a.Kind)
	}
	switch a.Kind {
	case state.ControlRequest:
		if was == nil {
			h.giveControl(you)
			return state.Outcome{Result: "control was free: it is yours"}, nil
		}
		you.info.Asked = time.Now()
		h.presence()
		return state.Outcome{Result: from + " was asked for control"}, nil
	case state.ControlTake:
		h.giveControl(you)
		return state.Outcome{Result: fmt.Sprintf("%s took control from %s", you.info.Title(), from)}, nil
	}
	to := find(a.Target)
	if to == nil {
		return state.Outcome{}, fmt.Errorf("hand over control to %s: that console has left", a.Target)
	}
	h.giveControl(to)
	return state.Outcome{Result: fmt.Sprintf("control went from %s to %s", from, to.info.Title())}, nil
}
