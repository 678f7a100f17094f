package docker

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// What a secret's name looks like, in an environment, a label or a flag.
const secretWord = `(?:pass(?:word|wd|phrase)?|secret|token|api_?-?key|access_?-?key|private_?-?key|encryption_?-?key|service_role|credential|auth|dsn)`

var (
	secretName = regexp.MustCompile(`(?i)` + secretWord)
	envLine    = regexp.MustCompile(`(?i)^(\s*"[\w.-]*` + secretWord + `[\w.-]*=).*("(?:,)?)$`)
	pairLine   = regexp.MustCompile(`(?i)^(\s*"[\w./-]*` + secretWord + `[\w./-]*": ").+("(?:,)?)$`)
	flagLine   = regexp.MustCompile(`(?i)^\s*"--?[\w-]*` + secretWord + `[\w-]*",$`)
	anyString  = regexp.MustCompile(`^(\s*").*("(?:,)?)$`)
	userinfo   = regexp.MustCompile(`(://[^\s/@:"]*:)[^\s/@"]+@`)
	flagWord   = regexp.MustCompile(`(?i)^--?[\w-]*` + secretWord + `[\w-]*$`)
	setWord    = regexp.MustCompile(`(?i)^(-*[\w.-]*` + secretWord + `[\w.-]*=).+$`)
	inText     = regexp.MustCompile(`(?i)((?:^|\s)(?:--?[\w-]*` + secretWord + `[\w-]*[= ]|[\w.-]*` + secretWord + `[\w.-]*=))("[^"]*"|'[^']*'|[^\s"']+)`)
)

// maskInspect hides the values of what is named like a secret in indented JSON:
// "NAME=value" and "--name=value" entries, the argument after a "--name", and
// "name": "value" pairs; and passwords in URLs everywhere.
func maskInspect(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		switch {
		case envLine.MatchString(l):
			lines[i] = envLine.ReplaceAllString(l, "${1}***${2}")
		case pairLine.MatchString(l):
			lines[i] = pairLine.ReplaceAllString(l, "${1}***${2}")
		default:
			if i > 0 && flagLine.MatchString(lines[i-1]) {
				lines[i] = anyString.ReplaceAllString(l, "${1}***${2}")
			} else if strings.Contains(l, "://") {
				lines[i] = userinfo.ReplaceAllString(l, "${1}***@")
			}
		}
	}
	return strings.Join(lines, "\n")
}

// maskValue hides the value of a label that is named like a secret.
func maskValue(name, value string) string {
	if value != "" && secretName.MatchString(name) {
		return "***"
	}
	return userinfo.ReplaceAllString(value, "${1}***@")
}

// maskArgs returns a command's arguments without the values of those that are named
// like a secret.
func maskArgs(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		switch {
		case i > 0 && flagWord.MatchString(args[i-1]):
			out[i] = "***"
		case setWord.MatchString(a):
			out[i] = setWord.ReplaceAllString(a, "${1}***")
		default:
			out[i] = maskText(a)
		}
	}
	return out
}

// maskText hides in a line of words what follows "--name ", "--name=" or "NAME="
// where the name is like a secret's, and passwords in URLs.
func maskText(s string) string {
	if strings.ContainsAny(s, "=-") {
		s = inText.ReplaceAllString(s, "${1}***")
	}
	if strings.Contains(s, "://") {
		s = userinfo.ReplaceAllString(s, "${1}***@")
	}
	return s
}

// indented returns v as indented JSON.
func indented(raw []byte) (string, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return "", err
	}
	return b.String(), nil
}
