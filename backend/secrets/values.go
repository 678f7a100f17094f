package secrets

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// Values are one module's credentials: a JSON object, by field name. They print,
// log and marshal as "***".
type Values struct{ m map[string]any }

// NewValues wraps fields; m is not to be changed afterwards.
func NewValues(m map[string]any) Values { return Values{m} }

// ParseValues reads a JSON object, keeping numbers exactly as written.
func ParseValues(text []byte) (Values, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return Values{}, fmt.Errorf("credentials: a JSON object was expected: %w", scrub(err))
	}
	if m == nil {
		return Values{}, fmt.Errorf("credentials: a JSON object was expected, this is null")
	}
	if _, err := d.Token(); err != io.EOF {
		return Values{}, fmt.Errorf("credentials: one JSON object was expected, more follows")
	}
	return Values{m}, nil
}

// scrub returns a JSON error without anything that may be a piece of the value.
func scrub(err error) error {
	if s, ok := err.(*json.SyntaxError); ok {
		return fmt.Errorf("syntax error at byte %d", s.Offset)
	}
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		return fmt.Errorf("this is a JSON %s", t.Value)
	}
	return err
}

// Fields returns the names, sorted.
func (v Values) Fields() []string {
	out := make([]string, 0, len(v.m))
	for k := range v.m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Len returns the number of fields.
func (v Values) Len() int { return len(v.m) }

// With returns a copy of v in which the given fields replace those of the same name.
func (v Values) With(fields map[string]any) Values {
	m := make(map[string]any, len(v.m)+len(fields))
	for k, x := range v.m {
		m[k] = x
	}
	for k, x := range fields {
		m[k] = x
	}
	return Values{m}
}

// Reveal returns the fields with their values, not to be changed.
func (v Values) Reveal() map[string]any { return v.m }

// encode returns the JSON text that is encrypted.
func (v Values) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	m := v.m
	if m == nil {
		m = map[string]any{}
	}
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// strings lists every string value, at any depth.
func (v Values) strings() []string {
	var out []string
	var walk func(any)
	walk = func(x any) {
		switch x := x.(type) {
		case string:
			out = append(out, x)
		case map[string]any:
			for _, y := range x {
				walk(y)
			}
		case []any:
			for _, y := range x {
				walk(y)
			}
		}
	}
	walk(v.m)
	return out
}

// String implements fmt.Stringer without the values.
func (Values) String() string { return "***" }

// GoString implements fmt.GoStringer without the values.
func (Values) GoString() string { return "***" }

// Format implements fmt.Formatter, so that no verb prints the values.
func (Values) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalJSON implements json.Marshaler without the values.
func (Values) MarshalJSON() ([]byte, error) { return []byte(`"***"`), nil }

// LogValue implements slog.LogValuer without the values.
func (Values) LogValue() slog.Value { return slog.StringValue("***") }
