package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// largestBody bounds a request's body, deepestBody the nesting in it.
	largestBody = 1 << 20
	deepestBody = 64
	// bodyPatience is how long a caller may take to send it, answerPatience to take
	// the answer.
	bodyPatience   = 30 * time.Second
	answerPatience = time.Minute
)

// readBody takes the body in, bounded in size, depth and time, before anybody
// decodes it. It answers the refusal itself.
func (d *Authenticator) readBody(w http.ResponseWriter, r *http.Request) bool {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return true
	}
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyPatience))
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestBody))
	_ = c.SetReadDeadline(time.Time{})
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		d.fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", largestBody))
		return false
	case err != nil:
		d.fail(w, http.StatusBadRequest, fmt.Sprintf("the body did not arrive whole within %s", bodyPatience))
		return false
	}
	if at := notUTF8(b); at >= 0 {
		d.unprocessable(w, invalid{[]any{"body", at}, fmt.Sprintf("not UTF-8: an error at byte %d", at), "value_error.jsondecode"})
		return false
	}
	if at := tooDeep(b); at >= 0 {
		d.unprocessable(w, invalid{[]any{"body", at}, fmt.Sprintf("nested deeper than %d at byte %d", deepestBody, at), "value_error.jsondecode"})
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	r.ContentLength = int64(len(b))
	return true
}

func notUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; ; {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
}

// tooDeep returns where JSON text is nested deeper than deepestBody; -1 where it is not.
// What is not JSON is for the decoder to refuse.
func tooDeep(b []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > deepestBody {
				return i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return -1
}

// answers writes what is answered.
type answers struct {
	mask func(string) string
	log  *slog.Logger
}

// reply writes v as JSON.
func (a answers) reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		a.log.Error("admin: answer", "err", err)
		status, b = http.StatusInternalServerError, []byte(`{"detail":"the answer could not be written as JSON"}`)
	}
	if masked := a.mask(string(b)); masked != string(b) {
		b = []byte(masked)
	}
	a.write(w, status, b)
}

func (a answers) write(w http.ResponseWriter, status int, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerPatience))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// fail answers an error in both dialects.
func (a answers) fail(w http.ResponseWriter, status int, detail string) {
	a.failWith(w, status, detail, detail)
}

func (a answers) failWith(w http.ResponseWriter, status int, detail any, text string) {
	a.reply(w, status, map[string]any{
		"detail": detail, "error": http.StatusText(status), "details": text, "timestamp": time.Now().UTC(),
		"request_id": w.Header().Get("X-Request-Id"),
	})
}

// invalid is one fault of a request's body, as the real service reports it.
type invalid struct {
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
	Type string `json:"type"`
}

func (a answers) unprocessable(w http.ResponseWriter, faults ...invalid) {
	text := make([]string, 0, len(faults))
	for _, f := range faults {
		loc := make([]string, 0, len(f.Loc))
		for _, l := range f.Loc {
			loc = append(loc, fmt.Sprint(l))
		}
		text = append(text, strings.Join(loc, ".")+": "+f.Msg)
	}
	a.failWith(w, http.StatusUnprocessableEntity, faults, strings.Join(text, "; "))
}

// errMore: a body goes on after its value.
var errMore = errors.New("there is more after the value")

// body reads a request's JSON body into v, or answers why it cannot be read.
func (a answers) body(w http.ResponseWriter, r *http.Request, v any) bool {
	dec := json.NewDecoder(r.Body)
	err := dec.Decode(v)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errMore
		}
	}
	var typeErr *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return true
	case errors.As(err, &typeErr):
		loc := []any{"body"}
		for _, p := range strings.Split(typeErr.Field, ".") {
			if p != "" {
				loc = append(loc, cut(p, 200))
			}
		}
		a.unprocessable(w, wrongType(loc, typeErr.Type.Kind().String()))
	case errors.As(err, &syntax):
		a.unprocessable(w, invalid{[]any{"body", syntax.Offset}, "not JSON: an error at byte " + fmt.Sprint(syntax.Offset), "value_error.jsondecode"})
	case err == errMore:
		a.unprocessable(w, invalid{[]any{"body"}, "there is more after the end of the JSON value", "value_error.jsondecode"})
	default:
		a.unprocessable(w, invalid{[]any{"body"}, "not a JSON object: the text ends before the value does", "value_error.jsondecode"})
	}
	return false
}

// wrongType words a type error as the real service does.
func wrongType(loc []any, kind string) invalid {
	switch kind {
	case "map", "struct":
		return invalid{loc, "value is not a valid dict", "type_error.dict"}
	case "string":
		return invalid{loc, "str type expected", "type_error.str"}
	case "int", "int64":
		return invalid{loc, "value is not a valid integer", "type_error.integer"}
	}
	return invalid{loc, "a " + kind + " was expected", "type_error." + state.Clean(kind)}
}
