package record

import (
	"encoding/json"
	"iter"
	"strings"
)

// maxDepth is how deeply nested JSON objects are looked into.
const maxDepth = 8

// aliases are other names of the same field, tried in this order
// when the name itself is not there.
var aliases = map[string][]string{
	"status":   {"statusCode", "status_code", "http_status"},
	"duration": {"elapsed", "latency", "took", "responseTime", "response_time", "request_time"},
	"ip":       {"remote_addr", "client_ip", "remote_ip", "clientip", "remoteAddress"},
	"path":     {"url", "uri", "request_uri"},
	"size":     {"bytes", "body_bytes_sent", "bytes_sent", "length"},
	"msg":      {"message", "event"},
	"message":  {"msg", "event"},
	"user":     {"username", "user_name", "user_id", "userId"},
	"logger":   {"name", "component", "module", "service"},
}

// Get returns the value of a field of a record, as text: a JSON string without its
// quotes and escapes, other JSON values as they stand. A dotted key goes into
// nested objects; a plain one is looked for at the top first and then inside. It
// allocates only where a string has escapes.
func Get(text, key string) (value string, ok bool) {
	if v, ok := get(text, key); ok {
		return v, true
	}
	for _, other := range aliases[key] {
		if v, ok := get(text, other); ok {
			return v, true
		}
	}
	return "", false
}

func get(text, key string) (string, bool) {
	if key == "" {
		return "", false
	}
	// The last part of a dotted key stands in the text as it is; an absent one needs no parsing.
	if !strings.Contains(text, key[strings.LastIndexByte(key, '.')+1:]) {
		return column(text, key)
	}
	if at := object(text); at >= 0 {
		if v, ok, _ := member(text, at, key, 0); ok {
			return unquote(v), true
		}
	}
	if v, ok := pair(text, key); ok {
		return v, true
	}
	return column(text, key)
}

// Fields returns the fields of a record in the order in which they stand, nested ones
// by their dotted keys.
func Fields(text string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		found := false
		if at := object(text); at >= 0 {
			if _, ok := members(text, at, "", 0, func(k, v string) bool { found = true; return yield(k, v) }); !ok {
				return
			}
			if found {
				return
			}
		}
		for i := 0; i < len(text); {
			eq := strings.IndexByte(text[i:], '=')
			if eq < 0 {
				break
			}
			eq += i
			start := eq
			for start > i && keyByte(text[start-1]) {
				start--
			}
			if start == eq || !pairBoundary(text, start) {
				i = eq + 1
				continue
			}
			value, next := pairValue(text, eq+1)
			found = true
			if !yield(text[start:eq], value) {
				return
			}
			i = next
		}
		if found {
			return
		}
		for _, c := range columns {
			if v, ok := column(text, c); ok && !yield(c, v) {
				return
			}
		}
	}
}

// object returns where a JSON object begins, -1 for nowhere.
func object(text string) int {
	if len(text) > 0 && text[0] == '{' {
		return 0
	}
	return strings.Index(text, `{"`)
}

// member returns the raw value of a member of the object at i.
func member(s string, i int, key string, depth int) (value string, ok bool, next int) {
	nested, hasNested := "", false
	i = skipSpace(s, i+1)
	for i < len(s) && s[i] == '"' {
		k, n := JSONString(s, i)
		if n < 0 {
			break
		}
		if i = skipSpace(s, n); i >= len(s) || s[i] != ':' {
			break
		}
		i = skipSpace(s, i+1)
		start := i
		i = JSONSkip(s, i)
		if i < 0 { // cut off in the middle
			if k == key && start < len(s) && s[start] == '"' {
				return s[start:], true, -1
			}
			break
		}
		if k == key {
			return s[start:i], true, i
		}
		if s[start] == '{' && depth < maxDepth {
			inner, deeper := key, false
			if len(key) > len(k)+1 && key[len(k)] == '.' && key[:len(k)] == k {
				inner, deeper = key[len(k)+1:], true
			}
			if !hasNested || deeper {
				if v, ok, _ := member(s, start, inner, depth+1); ok {
					if deeper {
						return v, true, i
					}
					nested, hasNested = v, true
				}
			}
		}
		i = skipSpace(s, i)
		if i >= len(s) || s[i] != ',' {
			break
		}
		i = skipSpace(s, i+1)
	}
	return nested, hasNested, i
}

// members yields the members of the object at i; ok is false when yield said no.
func members(s string, i int, prefix string, depth int, yield func(string, string) bool) (next int, ok bool) {
	i = skipSpace(s, i+1)
	for i < len(s) && s[i] == '"' {
		k, n := JSONString(s, i)
		if n < 0 {
			return len(s), true
		}
		if i = skipSpace(s, n); i >= len(s) || s[i] != ':' {
			return i, true
		}
		i = skipSpace(s, i+1)
		start := i
		i = JSONSkip(s, i)
		if i < 0 {
			return len(s), true
		}
		name := prefix + k
		if s[start] == '{' && depth < maxDepth {
			if _, ok := members(s, start, name+".", depth+1, yield); !ok {
				return i, false
			}
		} else if !yield(name, unquote(s[start:i])) {
			return i, false
		}
		i = skipSpace(s, i)
		if i >= len(s) || s[i] != ',' {
			break
		}
		i = skipSpace(s, i+1)
	}
	return i, true
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// JSONString returns the raw JSON string that begins at i, and the place after it, or -1.
func JSONString(s string, i int) (string, int) {
	for j := i + 1; ; {
		k := strings.IndexByte(s[j:], '"')
		if k < 0 {
			return "", -1
		}
		j += k
		b := j - 1
		for b > i && s[b] == '\\' {
			b--
		}
		if (j-1-b)%2 == 0 {
			return s[i+1 : j], j + 1
		}
		j++
	}
}

// JSONSkip returns the place after the JSON value that begins at i, or -1.
func JSONSkip(s string, i int) int {
	if i >= len(s) {
		return -1
	}
	switch s[i] {
	case '"':
		_, next := JSONString(s, i)
		return next
	case '{', '[':
		for depth := 0; i < len(s); i++ {
			switch s[i] {
			case '"':
				_, next := JSONString(s, i)
				if next < 0 {
					return -1
				}
				i = next - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return -1
	}
	start := i
	for i < len(s) && s[i] != ',' && s[i] != '}' && s[i] != ']' && s[i] != ' ' && s[i] != '\n' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// unquote returns a raw JSON value without quotes and escapes.
func unquote(v string) string {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return v
	}
	if strings.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	var out string
	if json.Unmarshal([]byte(v), &out) != nil {
		return v[1 : len(v)-1]
	}
	return out
}

func keyByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == '@'
}

// pairBoundary reports whether a key may begin at i.
func pairBoundary(s string, i int) bool {
	return i == 0 || !keyByte(s[i-1]) && s[i-1] != '/' && s[i-1] != '?' && s[i-1] != '&' && s[i-1] != '%' && s[i-1] < 0x80
}

// pair returns the value of key=value, which may be quoted.
func pair(s, key string) (string, bool) {
	for from := 0; ; {
		at := strings.Index(s[from:], key)
		if at < 0 {
			return "", false
		}
		at += from
		end := at + len(key)
		if end < len(s) && s[end] == '=' && pairBoundary(s, at) {
			v, _ := pairValue(s, end+1)
			return v, true
		}
		from = at + 1
	}
}

// pairValue returns the value that begins at i, and the place after it.
func pairValue(s string, i int) (string, int) {
	if i < len(s) && s[i] == '"' {
		if v, next := JSONString(s, i); next > 0 {
			if strings.IndexByte(v, '\\') >= 0 {
				v = unquote(s[i:next])
			}
			return v, next
		}
	}
	end := i
	for end < len(s) && s[end] != ' ' && s[end] != '\t' && s[end] != '\n' && s[end] != '\r' && s[end] != '"' && s[end] != '\\' {
		end++
	}
	v := strings.TrimRight(s[i:end], ",;:)]}")
	return v, end
}

// columns are the fields of an access log in the common and the combined format.
var columns = []string{"ip", "user", "method", "path", "protocol", "status", "size", "referer", "agent"}

// column returns a column of an access log's line:
//
//	10.0.0.1 - anna [22/Nov/2026:05:22:04 +0000] "GET /me HTTP/1.1" 200 12 "-" "curl"
func column(s, name string) (string, bool) {
	switch name {
	case "ip", "user", "method", "path", "protocol", "status", "size", "referer", "agent":
	default:
		return "", false
	}
	at := strings.Index(s, `] "`)
	if at < 0 {
		return "", false
	}
	open := strings.LastIndexByte(s[:at], '[')
	if open < 0 || at-open < 20 {
		return "", false
	}
	switch name {
	case "ip", "user":
		ip, rest, _ := strings.Cut(s[:open], " ")
		if name == "ip" {
			return ip, ip != ""
		}
		_, user, _ := strings.Cut(strings.TrimSpace(rest), " ")
		return user, user != "" && user != "-"
	}
	request, next := JSONString(s, at+2)
	if next < 0 {
		return "", false
	}
	switch name {
	case "method", "path", "protocol":
		method, rest, ok := strings.Cut(request, " ")
		path, protocol, _ := strings.Cut(rest, " ")
		switch {
		case !ok:
			return "", false
		case name == "method":
			return method, true
		case name == "path":
			return path, true
		}
		return protocol, protocol != ""
	}
	rest := strings.TrimLeft(s[next:], " ")
	status, rest, _ := strings.Cut(rest, " ")
	if name == "status" {
		return status, status != ""
	}
	size, rest, _ := strings.Cut(rest, " ")
	if name == "size" {
		return size, size != "" && size != "-"
	}
	if len(rest) == 0 || rest[0] != '"' {
		return "", false
	}
	referer, next := JSONString(rest, 0)
	if next < 0 {
		return "", false
	}
	if name == "referer" {
		return referer, referer != "-"
	}
	rest = strings.TrimLeft(rest[next:], " ")
	if len(rest) == 0 || rest[0] != '"' {
		return "", false
	}
	agent, next := JSONString(rest, 0)
	return agent, next > 0 && agent != "-"
}
