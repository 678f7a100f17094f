package document

import "testing"

func TestProblemsSayWhereAndWhatWasExpected(t *testing.T) {
	s, err := Compile([]byte(`{"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "list": {"items": {"type": ["integer", "null"]}}}}`), "opsdeck:test")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"name": "x", "list": [1, null]}`:      "",
		"{\n  \"name\": 5\n}":                   "f.json:2:11: name: a string was expected, this is number",
		`{"name": "x", "list": [1, "two"]}`:     "f.json:1:27: list.1: an integer or null was expected, this is string",
		"\xef\xbb\xbf{}":                        `f.json:1:2: the member "name" is missing`,
		"{\"name\": \"ä\",\n \"list\": [\"\"]}": "f.json:2:11: list.0: an integer or null was expected, this is string",
		`{"name": "x"} 5`:                       "f.json:1:16: there is more after the end of the JSON value",
		`{"name": `:                             "f.json:1:10: not JSON: the text ends before the JSON value does",
		"{\"name\": \"\xff\"}":                  "f.json:1:11: this is not UTF-8: JSON text in UTF-8 was expected",
	} {
		d, err := Parse("f.json", []byte(text))
		if err == nil {
			if ps := s.Check(d); ps != nil {
				err = ps
			}
		}
		if got := ""; err != nil && err.Error() != want || err == nil && got != want {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	d, err := Parse("", []byte(`{"a": {"b": [1, 22]}}`))
	if err != nil || d.Offset("a", "b", "1") != 16 || d.Offset("none") != 0 {
		t.Errorf("got %d and %d, %v", d.Offset("a", "b", "1"), d.Offset("none"), err)
	}
}
