package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

type detailResult struct {
	details map[string]state.ContainerDetail
}

// detail fetches, in the background, what is being looked at. A container that
// nobody looks at any more is dropped.
func (r *run) detail(ctx context.Context) {
	if r.detailing {
		return
	}
	var ids []string
	if in := r.s.interests.Load(); in != nil {
		for _, i := range *in {
			if i.Container != "" && r.byID[i.Container] != nil {
				ids = append(ids, i.Container)
			}
		}
	}
	if len(ids) == 0 {
		if r.section.Details != nil {
			r.section.Details = nil
			r.publish()
		}
		return
	}
	running := map[string]bool{}
	for _, id := range ids {
		running[id] = r.byID[id].c.State == "running"
	}
	r.detailing = true
	r.wg.Go(func() {
		out := map[string]state.ContainerDetail{}
		for id, up := range running {
			out[id] = r.s.fetchDetail(ctx, r.cli, id, up)
		}
		r.details <- detailResult{out}
	})
}

func (s *Source) fetchDetail(ctx context.Context, cli *client.Client, id string, up bool) state.ContainerDetail {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	d := state.ContainerDetail{At: time.Now()}
	in, err := cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		d.Err = state.Clean("inspect: " + err.Error())
		return d
	}
	var b bytes.Buffer
	if err := json.Indent(&b, in.Raw, "", "  "); err != nil {
		d.Err = state.Clean("inspect: " + err.Error())
		return d
	}
	d.Inspect = state.Clean(s.cfg.Mask(maskInspect(b.String())))
	if !up {
		return d
	}
	top, err := cli.ContainerTop(ctx, id, client.ContainerTopOptions{})
	if err != nil {
		d.Err = state.Clean("top: " + err.Error())
		return d
	}
	d.TopTitles = top.Titles
	for _, row := range top.Processes {
		for i, cell := range row {
			row[i] = state.Clean(s.cfg.Mask(cell))
		}
		d.Top = append(d.Top, row)
	}
	return d
}

// What a secret's name looks like, in an environment, a label or a flag.
const secretWord = `(?:pass(?:word|wd|phrase)?|secret|token|api_?-?key|access_?-?key|private_?-?key|encryption_?-?key|service_role|credential|auth|dsn)`

var (
	secretName = regexp.MustCompile(`(?i)` + secretWord)
	envLine    = regexp.MustCompile(`(?i)^(\s*"[\w.-]*` + secretWord + `[\w.-]*=).*("(?:,)?)$`)
	pairLine   = regexp.MustCompile(`(?i)^(\s*"[\w./-]*` + secretWord + `[\w./-]*": ").+("(?:,)?)$`)
	flagLine   = regexp.MustCompile(`(?i)^\s*"--?[\w-]*` + secretWord + `[\w-]*",$`)
	anyString  = regexp.MustCompile(`^(\s*").*("(?:,)?)$`)
	userinfo   = regexp.MustCompile(`(://[^\s/@:"]*:)[^\s/@"]+@`)
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
