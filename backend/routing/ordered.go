package routing

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ordered is a JSON object that keeps the order of its members.
type ordered struct{ members []member }

type member struct {
	name  string
	value any // *ordered or json.RawMessage
}

func parseOrdered(text []byte) (*ordered, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("a JSON object was expected")
	}
	o := &ordered{}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		o.set(k.(string), raw)
	}
	return o, nil
}

// child returns the object of that name, which takes the place of whatever else is there.
func (o *ordered) child(name string) *ordered {
	for i, m := range o.members {
		if m.name == name {
			if c, ok := m.value.(*ordered); ok {
				return c
			}
			c, err := parseOrdered(m.value.(json.RawMessage))
			if err != nil {
				c = &ordered{}
			}
			o.members[i].value = c
			return c
		}
	}
	c := &ordered{}
	o.members = append(o.members, member{name, c})
	return c
}

func (o *ordered) set(name string, v any) {
	for i := range o.members {
		if o.members[i].name == name {
			o.members[i].value = v
			return
		}
	}
	o.members = append(o.members, member{name, v})
}

func (o *ordered) remove(name string) bool {
	for i := range o.members {
		if o.members[i].name == name {
			o.members = append(o.members[:i], o.members[i+1:]...)
			return true
		}
	}
	return false
}

func (o *ordered) text() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			b.WriteByte(',')
		}
		k, _ := json.Marshal(m.name)
		b.Write(k)
		b.WriteByte(':')
		switch v := m.value.(type) {
		case *ordered:
			b.Write(v.text())
		case json.RawMessage:
			b.Write(v)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}
