package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Problem is one thing that is wrong with a file: where, and what was expected.
type Problem struct {
	File      string
	Line, Col int // from 1; 0 where unknown
	// Path leads to the value: ["categories", "x", "max_latency_ms"].
	Path []string
	// Text says what was found and what was expected.
	Text string
	// Want is the JSON type that was expected, "" where something else is wrong.
	Want string
}

// String is "file:line:col: path: text".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Col)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if len(p.Path) > 0 {
		b.WriteString(strings.Join(p.Path, ".") + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are what is wrong with one file, in file order.
type Problems []Problem

// Error implements error; it names the first few.
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i == 3 {
			fmt.Fprintf(&b, "; and %d more", len(ps)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// Document is JSON text that remembers where each value stands.
type Document struct {
	file  string
	text  []byte
	Value any // as encoding/json gives it, numbers as json.Number
	at    map[string]int
}

// pathKey names a value in Document.at.
func pathKey(path []string) string { return strings.Join(path, "\x00") }

// maxDepth bounds how deep a document nests.
const maxDepth = 200

// Parse reads one JSON document. Its error is of type Problems.
func Parse(file string, text []byte) (*Document, error) {
	d := &Document{file: file, text: text, at: map[string]int{}}
	if !utf8.Valid(text) {
		i := 0
		for i < len(text) {
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			i += n
		}
		return nil, Problems{d.ProblemAt(i, nil, "this is not UTF-8: JSON text in UTF-8 was expected")}
	}
	body := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	skip := len(text) - len(body)
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := d.read(dec, body, skip, nil)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = d.ProblemAt(skip+int(dec.InputOffset()), nil, "there is more after the end of the JSON value")
		}
	}
	if err != nil {
		var p Problem
		if errors.As(err, &p) {
			return nil, Problems{p}
		}
		off := skip + int(dec.InputOffset())
		text := err.Error()
		var syn *json.SyntaxError
		switch {
		case errors.As(err, &syn):
			off = skip + int(syn.Offset) - 1
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			off, text = len(d.text), "the text ends before the JSON value does"
		}
		return nil, Problems{d.ProblemAt(off, nil, "not JSON: "+text)}
	}
	d.Value = v
	return d, nil
}

// Error implements error.
func (p Problem) Error() string { return p.String() }

// Offset returns where in the text the value at path begins, 0 where there is none.
func (d *Document) Offset(path ...string) int { return d.at[pathKey(path)] }

// ProblemAt returns a problem with what stands at an offset in the text.
func (d *Document) ProblemAt(off int, path []string, text string) Problem {
	off = max(0, min(off, len(d.text)))
	line := 1 + bytes.Count(d.text[:off], []byte("\n"))
	col := 1 + utf8.RuneCount(d.text[bytes.LastIndexByte(d.text[:off], '\n')+1:off])
	return Problem{File: d.file, Line: line, Col: col, Path: path, Text: text}
}

func (d *Document) read(dec *json.Decoder, body []byte, skip int, path []string) (any, error) {
	if len(path) > maxDepth {
		return nil, d.ProblemAt(skip+int(dec.InputOffset()), nil, fmt.Sprintf("it nests deeper than %d levels", maxDepth))
	}
	from := int(dec.InputOffset())
	for from < len(body) && strings.IndexByte(" \t\r\n,:", body[from]) >= 0 {
		from++
	}
	d.at[pathKey(path)] = skip + from
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		m := map[string]any{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name, ok := k.(string)
			if !ok {
				return nil, d.ProblemAt(skip+int(dec.InputOffset()), path, "a member's name was expected")
			}
			if m[name], err = d.read(dec, body, skip, append(slices.Clone(path), name)); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := d.read(dec, body, skip, append(slices.Clone(path), strconv.Itoa(len(list))))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	return tok, nil
}

// Schema is a compiled JSON Schema.
type Schema struct{ schema *jsonschema.Schema }

// Compile compiles a schema that is part of the program.
func Compile(text []byte, location string) (*Schema, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	id, _, _ := strings.Cut(location, "#")
	c := jsonschema.NewCompiler()
	if err := c.AddResource(id, v); err != nil {
		return nil, err
	}
	s, err := c.Compile(location)
	if err != nil {
		return nil, err
	}
	return &Schema{s}, nil
}

// Check returns what is wrong with d, in file order; nil when it holds.
func (v *Schema) Check(d *Document) Problems {
	err := v.schema.Validate(d.Value)
	var ve *jsonschema.ValidationError
	if err == nil {
		return nil
	}
	if !errors.As(err, &ve) {
		return Problems{d.ProblemAt(0, nil, err.Error())}
	}
	var out Problems
	var walk func(*jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) > 0 {
			for _, c := range e.Causes {
				walk(c)
			}
			return
		}
		p := d.ProblemAt(d.at[pathKey(e.InstanceLocation)], e.InstanceLocation, "")
		p.Text, p.Want = expected(e)
		if n := len(out); n == 0 || out[n-1].String() != p.String() {
			out = append(out, p)
		}
	}
	walk(ve)
	slices.SortStableFunc(out, func(a, b Problem) int { return a.Line - b.Line })
	return out
}

// expected says what a schema wanted and what it got.
func expected(e *jsonschema.ValidationError) (text, want string) {
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		types := slices.Clone(k.Want)
		slices.SortStableFunc(types, func(a, b string) int { // null is what is meant last
			return strings.Compare(strconv.FormatBool(a == "null"), strconv.FormatBool(b == "null"))
		})
		return fmt.Sprintf("%s was expected, this is %s", alternatives(types), k.Got), types[0]
	case *kind.Required:
		return fmt.Sprintf("the member %q is missing", strings.Join(k.Missing, `", "`)), ""
	case *kind.Enum:
		var names []string
		for _, w := range k.Want {
			names = append(names, fmt.Sprint(w))
		}
		return fmt.Sprintf("one of %s was expected, this is %v", strings.Join(names, ", "), shortened(k.Got)), ""
	case *kind.Pattern:
		return fmt.Sprintf("%q was found; it should match %s", shortened(k.Got), k.Want), ""
	}
	return e.ErrorKind.LocalizedString(message.NewPrinter(language.English)), ""
}

func shortened(v any) string {
	s := fmt.Sprint(v)
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "..."
	}
	return s
}

func alternatives(words []string) string {
	var out []string
	for _, w := range words {
		switch w {
		case "integer", "array", "object":
			w = "an " + w
		case "null":
		default:
			w = "a " + w
		}
		out = append(out, w)
	}
	return strings.Join(out, " or ")
}
