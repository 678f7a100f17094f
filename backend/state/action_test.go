package state

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestTheTableOfActionsIsWhole(t *testing.T) {
	seen := map[Kind]bool{}
	empty := &Snapshot{}
	for _, s := range Specs() {
		if seen[s.Kind] {
			t.Errorf("%s is in the table twice", s.Kind)
		}
		seen[s.Kind] = true
		if s.Verb == "" || s.Past == "" || s.Noun == "" || s.Section == "" || s.Risk == "" {
			t.Errorf("%s: a column is empty: %+v", s.Kind, s)
		}
		if s.Key != "" && strings.ToLower(s.Key) == s.Key && s.Key != "u" {
			t.Errorf("%s: its key %q is lower case: those look, capitals change", s.Kind, s.Key)
		}
		if s.Global == "" && Why(empty, s.Kind, "nope") == "" {
			t.Errorf("%s can be done on what does not exist", s.Kind)
		}
		if SpecOf(s.Kind).Kind != s.Kind {
			t.Errorf("SpecOf(%s) is another row", s.Kind)
		}
	}
	if Why(empty, "module.explode", "x") == "" {
		t.Error("an unknown action can be done")
	}
}

func TestExactlyOneActionOfAKeyFitsATarget(t *testing.T) {
	s := &Snapshot{
		Modules: Modules{List: []Module{{ID: "a/on", Status: ModuleInstalled}, {ID: "a/off", Status: ModuleDisabled}, {ID: "a/bad", Status: ModuleFailed}}},
		Containers: Containers{Health: Health{Status: OK}, List: []Container{
			{ID: "1", Title: "up", State: "running"}, {ID: "2", Title: "down", State: "exited"}}},
	}
	for _, tt := range []struct {
		key    string
		sec    SectionName
		target string
		want   Kind
	}{
		{"E", SectionModules, "a/on", ModuleDisable},
		{"E", SectionModules, "a/bad", ModuleDisable},
		{"E", SectionModules, "a/off", ModuleEnable},
		{"S", SectionContainers, "up", ContainerStop},
		{"S", SectionContainers, "down", ContainerStart},
	} {
		for _, spec := range Specs() {
			if spec.Key == tt.key && spec.Section == tt.sec && Why(s, spec.Kind, tt.target) == "" {
				if spec.Kind != tt.want {
					t.Errorf("%s on %s means %s, want %s", tt.key, tt.target, spec.Kind, tt.want)
				}
				break
			}
		}
	}
}

func TestContainersAreFoundByTitleIDAndUniquePrefix(t *testing.T) {
	c := Containers{List: []Container{{ID: "abcd1111", Title: "web"}, {ID: "abcd2222", Title: "api"}, {ID: "ffff0000", Title: "db"}}}
	for target, want := range map[string]string{"web": "web", "abcd2222": "api", "ffff": "db", "abcd": "", "ff": "", "": ""} {
		got := ""
		if x := c.Container(target); x != nil {
			got = x.Title
		}
		if got != want {
			t.Errorf("Container(%q) = %q, want %q", target, got, want)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	s := Secret("hunter22")
	a := Action{Kind: CredentialSet, Target: "a/b", Secrets: map[string]Secret{"k": s}}
	b, err := json.Marshal(struct {
		A Action
		S Secret
	}{a, s})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "action", a)
	for _, text := range []string{string(b), fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %q %x", s, s, a, a, s, s), log.String()} {
		if strings.Contains(text, "hunter22") || strings.Contains(text, "68756e746572") {
			t.Errorf("the secret is in %q", text)
		}
	}
	if s.Reveal() != "hunter22" {
		t.Error("Reveal does not")
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "0.5d": 12 * time.Hour,
		"": 0, "0s": 0, "-5m": 0, "soon": 0, "1e300d": 0, "NaNd": 0, "d": 0} {
		got, err := ParseDuration(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestASnapshotWithNewSectionsLeavesTheOldOneAsItWas(t *testing.T) {
	a := (&Snapshot{}).With(1, time.Now(), Modules{Dir: "x"})
	b := a.With(2, time.Now(), Modules{Dir: "y"}, Host{Hostname: "h"})
	if a.Modules.Dir != "x" || a.Versions[SectionModules] != 1 || a.Host.Hostname != "" {
		t.Errorf("the old snapshot changed: %+v", a)
	}
	if b.Versions[SectionModules] != 2 || b.Versions[SectionHost] != 2 || b.Section(SectionModules).(Modules).Dir != "y" {
		t.Errorf("the new one is wrong: %+v", b)
	}
	for _, name := range SectionNames() {
		sec := b.Section(name)
		if sec == nil || NameOf(sec) != name {
			t.Errorf("section %s is %v", name, sec)
		}
		if h := HealthOf(WithHealth(sec, Health{Status: Stale})); h.Status != Stale {
			t.Errorf("section %s does not carry its health", name)
		}
	}
	if b.Section("nope") != nil {
		t.Error("an unknown section is there")
	}
}
