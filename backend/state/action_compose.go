package state

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The kinds of action on compose projects and their services. Their target is
// "project/service", or "project/*" for all; a container stands for its service.
const (
	ComposeUp       Kind = "compose.up"
	ComposeScale    Kind = "compose.scale"
	ComposeRecreate Kind = "compose.recreate"
	ComposePull     Kind = "compose.pull"
	ComposeBuild    Kind = "compose.build"
	ComposeRebuild  Kind = "compose.rebuild"
	ComposeDown     Kind = "compose.down"
)

// Compose is the compose command that is there.
type Compose struct {
	// Version is "docker compose 2.29.1" or "docker-compose 1.29.2"; "" for none, and
	// then Err says what was looked for.
	Version string `json:"version,omitempty"`
	Err     string `json:"err,omitempty"`
}

// Project is a compose project as its containers' labels have it.
type Project struct {
	// Dir is where compose ran; Files are its files and Env its environment files, all
	// absolute.
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
	Env   []string `json:"env,omitempty"`
	// Err says why compose cannot be run for it; "" when it can.
	Err string `json:"err,omitempty"`
}

// MostScale is how many containers a service can be scaled to from here.
const MostScale = 100

var composeSpecs = []Spec{
	{Kind: ComposeUp, Verb: "compose up", Past: "brought up", Noun: "service", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "compose up PROJECT[/SERVICE] | CONTAINER", Short: "start what is missing and recreate what differs from the files"}, Long: true,
		Of: ServiceOf, Disabled: composeDisabled, Impact: says("starts what is missing, and recreates what differs from the files"), Measured: true},
	{Kind: ComposeScale, Verb: "scale", Past: "scaled", Noun: "service", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "compose scale PROJECT/SERVICE | CONTAINER", Short: "run a service in as many containers",
		Flags: []Flag{{Key: "replicas", Default: "1", Help: "how many"}}},
		Of: ServiceOf, Disabled: func(s *Snapshot, t string) string {
			if _, service := split(s, ServiceOf, t); service == "*" {
				return "one service is scaled at a time"
			}
			return composeDisabled(s, t)
		}, Impact: says("starts or removes containers of it until there are as many; those that stay are not touched"), Measured: true,
		Fields: func(s *Snapshot, t string) []Field {
			return []Field{{Key: "replicas", Label: "Containers", Hint: fmt.Sprintf("0 to %d; at 0 it cannot be scaled up from here again, unless others of its project are there", MostScale), Default: strconv.Itoa(len(s.Containers.Replicas(t))), Required: true}}
		}, Check: func(_ *Snapshot, _ string, args map[string]string) string {
			if n, err := strconv.Atoi(args["replicas"]); err != nil || n < 0 || n > MostScale {
				return fmt.Sprintf("%q is not a number of containers from 0 to %d", args["replicas"], MostScale)
			}
			return ""
		}},
	{Kind: ComposeRecreate, Verb: "recreate", Past: "recreated", Noun: "service", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "compose recreate PROJECT[/SERVICE] | CONTAINER", Short: "replace containers, also where nothing differs"},
		Of: ServiceOf, Disabled: composeDisabled, Impact: says("stops and replaces its containers, also where nothing differs; what they wrote outside volumes is lost"), Measured: true},
	{Kind: ComposePull, Verb: "pull", Past: "pulled", Noun: "service's image", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "compose pull PROJECT[/SERVICE] | CONTAINER", Short: "fetch images"}, Long: true,
		Of: ServiceOf, Disabled: composeDisabled, Impact: says("fetches its image; what runs goes on as it is")},
	{Kind: ComposeBuild, Verb: "build", Past: "built", Noun: "service's image", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "compose build PROJECT[/SERVICE] | CONTAINER", Short: "build images"}, Long: true,
		Of: ServiceOf, Disabled: composeDisabled, Impact: says("builds its image; what runs goes on as it is")},
	{Kind: ComposeRebuild, Verb: "rebuild", Past: "rebuilt", Noun: "service", Section: SectionContainers, Risk: Confirm, CLI: CLI{Use: "compose rebuild PROJECT[/SERVICE] | CONTAINER", Short: "build images, and replace the containers whose image changed"}, Long: true,
		Of: ServiceOf, Disabled: composeDisabled, Impact: says("builds its image, and replaces its containers where it changed"), Measured: true},
	{Kind: ComposeDown, Verb: "compose down", Past: "brought down", Noun: "project", Section: SectionContainers, Risk: Typed, CLI: CLI{Use: "compose down PROJECT", Short: "stop and remove a project's containers and networks"},
		Of: projectOf, Disabled: composeDisabled, Impact: says("stops and removes all its containers and networks; what they wrote outside volumes is lost"),
		Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "volumes", Label: "Volumes too", Hint: "yes also removes the project's volumes, named ones too, with their data", Default: "no"}}
		}},
}

// composeName matches the names that compose accepts of a project or a service. It does
// not begin with a dash, so that none is taken for a flag.
var composeName = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]*$`)

// ServiceOf returns the target "project/service" that t stands for; "" for none.
func ServiceOf(s *Snapshot, t string) string {
	if p, service, ok := strings.Cut(t, "/"); ok {
		if !composeName.MatchString(p) || service != "*" && !composeName.MatchString(service) {
			return ""
		}
		return t
	}
	c := s.Containers.Container(t)
	if c == nil || !composeName.MatchString(c.Project) || !composeName.MatchString(c.Service) {
		return ""
	}
	return c.Project + "/" + c.Service
}

// projectOf returns the target "project/*" that t stands for; "" for none.
func projectOf(s *Snapshot, t string) string {
	if p, _, ok := strings.Cut(ServiceOf(s, t), "/"); ok {
		return p + "/*"
	}
	return ""
}

func split(s *Snapshot, of func(*Snapshot, string) string, t string) (project, service string) {
	project, service, _ = strings.Cut(of(s, t), "/")
	return project, service
}

// Replicas returns the containers of the target "project/service", or "project/*".
func (c Containers) Replicas(target string) (out []*Container) {
	project, service, ok := strings.Cut(target, "/")
	for i := range c.List {
		if o := &c.List[i]; ok && o.Project == project && (service == "*" || o.Service == service) {
			out = append(out, o)
		}
	}
	return out
}

func composeDisabled(s *Snapshot, t string) string {
	if !s.Containers.Health.Known() {
		return "the container engine does not answer"
	}
	project, _ := split(s, ServiceOf, t)
	if project == "" {
		if s.Containers.Container(t) == nil {
			return notFound("container or compose service", t)
		}
		return "it does not belong to a compose project"
	}
	p, ok := s.Containers.Projects[project]
	switch {
	case s.Containers.Compose.Version == "" && s.Containers.Compose.Err != "":
		return s.Containers.Compose.Err
	case s.Containers.Compose.Version == "":
		return "whether compose is installed is not known yet"
	case !ok && len(s.Containers.Replicas(project+"/*")) > 0:
		return "its compose files have not been looked for yet"
	case !ok:
		return fmt.Sprintf("no container of a project %q is known, so neither are its files", project)
	}
	return p.Err
}
